"""E-mail addresses: one that is accepted is mailed as it is, or not at all."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import errors
from balance_service.domain.addresses import parse_email

PARTS = ["=?", "?=", "=?utf-8?q?", "=?utf-8?b?", "example.com", "@", "xn--", "a", "1", "é", "İ"]


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("anna@example.com", "anna@example.com"),
        ("  Anna@Example.COM ", "anna@example.com"),
        ("a.b+c_d-e'f@sub.example.co", "a.b+c_d-e'f@sub.example.co"),
        ("anna@ПРИМЕР.рф", "anna@xn--e1afmkfd.xn--p1ai"),
        ("anna@xn--e1afmkfd.xn--p1ai", "anna@xn--e1afmkfd.xn--p1ai"),
        ("anna@office.local", "anna@office.local"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_address_is_read(typed: str, address: str) -> None:
    assert parse_email(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "anna",
        "@example.com",
        "anna@",
        "anna@example",
        "anna@localhost",
        "=?utf-8?q?=76ictim?=@example.com",
        "=?utf-8?b?dmljdGlt?=@example.com",
        "=?utf-8?q??=@example.com",
        "victim(comment)@example.com",
        "(comment)victim@example.com",
        '"victim"@example.com',
        '"a b"@example.com',
        "Anna <victim@example.com>",
        "<victim@example.com>",
        "@example.org:victim@example.com",
        "victim%example.org@example.com",
        "example.org!victim@example.com",
        "victim@example.com,b@example.com",
        "victim@example.com;",
        "victim@example.com b@example.com",
        "victim@[127.0.0.1]",
        "victim@127.0.0.1",
        "victim@example.com.",
        "victim.@example.com",
        "vic..tim@example.com",
        "victim@example..com",
        "victim@-example.com",
        "victim@xn--a.com",
        "victim\r\nBcc: b@example.com",
        "victim@example.com\r\nBcc: b@example.com",
        "victim@example.com\n",
        "victim\x00@example.com",
        "victim@exam\x00ple.com",
        "victim@example.com\x1f",
        "вика@example.com",
        "İ@example.com",
        "\u212aate@example.com",
        "victim@\u212aate.com",
        "ｖictim@example.com",
        "victim@ｅxample.com",
        "victim@example。com",
        "victim@ex\u00adample.com",
        "victim@exam\u200dple.com",
        "victim\u202e@example.com",
        "a" * 65 + "@example.com",
        "a@" + ".".join(["b" * 63] * 4),
        "a@" + "b" * 64 + ".com",
        "a" * 1_000_000 + "@example.com",
    ],
)
def test_anything_else_is_refused(typed: str) -> None:
    with pytest.raises(errors.InvalidFields) as refusal:
        parse_email(typed)
    (violation,) = refusal.value.violations
    assert violation == errors.Violation("email", "must be an e-mail address")


@given(st.lists(st.sampled_from(PARTS) | st.characters(), max_size=12), st.booleans())
def test_accepted_address_is_the_one_that_mail_software_reads(
    parts: list[str], whole: bool
) -> None:
    typed = "".join(parts) + ("" if whole else "@example.com")
    try:
        address = parse_email(typed)
    except errors.InvalidFields:
        return
    local, domain = typed.strip(" ").lower().rsplit("@", 1)
    assert address == f"{local}@{domain}" or not domain.isascii()
    assert address.startswith(f"{local}@")
    mail = EmailMessage()
    mail["To"] = address
    read = message_from_bytes(mail.as_bytes(policy=policy.SMTP), policy=policy.default)["To"]
    assert [to.addr_spec for to in read.addresses] == [address]
    assert parseaddr(address)[1] == address
    assert parse_email(address) == address
