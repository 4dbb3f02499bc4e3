"""Mailboxes: addresses that lead to one count as one, and others do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import errors, mailboxes
from balance_service.domain.addresses import parse_email

DOMAINS = ["example.com", "gmail.com", "googlemail.com", "yandex.ru", "ya.ru", "outlook.com"]
ATOMS = st.text("abz09_", min_size=1, max_size=5)
NAMES = st.lists(ATOMS, min_size=1, max_size=3)
TAGS = st.text("abz09._+-", max_size=6)


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("anna@example.com", "anna@example.com"),
        ("anna+news@example.com", "anna@example.com"),
        ("anna+a+b@example.com", "anna@example.com"),
        ("an.na@example.com", "an.na@example.com"),
        ("an-na@example.com", "an-na@example.com"),
        ("a.n.n.a+x@gmail.com", "anna@gmail.com"),
        ("anna@googlemail.com", "anna@gmail.com"),
        ("an-na+x@ya.ru", "an.na@yandex.ru"),
        ("+anna@example.com", "+anna@example.com"),
        ("+anna+x@example.com", "+anna@example.com"),
    ],
)
def test_address_leads_to_its_mailbox(email: str, mailbox: str) -> None:
    assert mailboxes.canonical(email) == mailbox


@given(NAMES, TAGS, st.sampled_from(DOMAINS))
def test_sub_address_is_the_same_mailbox(name: list[str], tag: str, domain: str) -> None:
    local = ".".join(name)
    assert mailboxes.canonical(f"{local}+{tag}@{domain}") == mailboxes.canonical(
        f"{local}@{domain}"
    )


@given(NAMES, st.sampled_from(DOMAINS))
def test_dots_count_but_at_gmail(name: list[str], domain: str) -> None:
    dotted, plain = f"{'.'.join(name)}@{domain}", f"{''.join(name)}@{domain}"
    same = mailboxes.canonical(dotted) == mailboxes.canonical(plain)
    assert same == (len(name) == 1 or domain in ("gmail.com", "googlemail.com"))


@given(NAMES, NAMES, st.sampled_from(DOMAINS))
def test_other_names_are_other_mailboxes(one: list[str], other: list[str], domain: str) -> None:
    ours, theirs = "".join(one), "".join(other)
    same = mailboxes.canonical(f"{ours}@{domain}") == mailboxes.canonical(f"{theirs}@{domain}")
    assert same == (ours == theirs)


@given(st.text("aZ.+-_%'=@", max_size=12), st.sampled_from(DOMAINS))
def test_mailbox_of_a_mailbox_is_itself(local: str, domain: str) -> None:
    try:
        email = parse_email(f"{local}@{domain}")
    except errors.InvalidFields:
        return
    mailbox = mailboxes.canonical(email)
    assert mailboxes.canonical(mailbox) == mailbox
    assert not mailbox.startswith("@")
