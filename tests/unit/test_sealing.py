"""The service's secret: refused where others can guess it."""

import secrets as random_source

import pytest
from cryptography.fernet import InvalidToken

from balance_service.auth.sealing import Secrets


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ("", "at least 32 characters"),
        ("kG7w-Zq2_xV9bN4mT1rLs8Yd3HfJc6P", "at least 32 characters"),
        ("x" * 32, "repeats itself"),
        ("ab" * 40, "repeats itself"),
        ("password" * 4, "repeats itself"),
        ("0123456789" * 10, "repeats itself"),
        ("changeme" * 8, "repeats itself"),
    ],
)
def test_weak_secret_is_refused_in_one_sentence(secret: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        Secrets(secret)
    assert len(str(error.value).splitlines()) == 1
    assert not secret or secret not in str(error.value)


def test_random_secrets_are_taken() -> None:
    for _ in range(1000):
        Secrets(random_source.token_hex(16))
        Secrets(random_source.token_urlsafe(24))
        Secrets("".join(random_source.choice("0123456789") for _ in range(32)))


@pytest.mark.parametrize(
    "secret",
    [
        "try-out-only-and-not-a-secret-at-all",
        "please-change-this-before-production!",
        "CHANGE_ME_0123456789_abcdefghijklmnop",
        "your-secret-here-your-secret-here-123",
    ],
)
def test_secret_of_an_example_is_for_development_alone(secret: str) -> None:
    with pytest.raises(ValueError, match="everybody can read"):
        Secrets(secret)
    assert Secrets(secret, development=True).key("any")


ONE, OTHER = "only-for-tests-and-long-enough-0123456789", "another-one-of-tests-and-long-98765"


def test_previous_secret_opens_and_does_not_close() -> None:
    old, new, both = Secrets(OTHER), Secrets(ONE), Secrets(ONE, OTHER)
    assert both.unseal(old.seal(b"x", "any"), "any") == b"x"
    assert new.unseal(both.seal(b"x", "any"), "any") == b"x"
    assert both.keyed_hash("any", "x") == new.keyed_hash("any", "x")
    assert both.is_hash(old.keyed_hash("any", "x"), "any", "x")
    assert both.is_hash(new.keyed_hash("any", "x"), "any", "x")
    assert not both.is_hash(old.keyed_hash("other", "x"), "any", "x")
    assert not new.is_hash(old.keyed_hash("any", "x"), "any", "x")
    assert both.mark == new.mark != old.mark


def test_seal_is_replaced_once() -> None:
    old, new, both = Secrets(OTHER), Secrets(ONE), Secrets(ONE, OTHER)
    again = both.reseal(old.seal(b"x", "any"), "any")
    assert again
    assert new.unseal(again, "any") == b"x"
    assert both.reseal(again, "any") is None
    with pytest.raises(InvalidToken):
        new.reseal(old.seal(b"x", "any"), "any")


def test_weak_previous_secret_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="BALANCE_PREVIOUS_SECRET repeats itself"):
        Secrets(ONE, "password" * 5)
