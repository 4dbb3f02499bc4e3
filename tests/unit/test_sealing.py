"""The service's secret: refused where others can guess it."""

import secrets as random_source

import pytest

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
