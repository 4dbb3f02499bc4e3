"""The commands about keys, sibling services and secrets, as an operator types them."""

import json
import re
from collections.abc import Callable

import pytest

from balance_service.config import Settings
from tests.cli import Typed


@pytest.fixture
def command(service_settings: Settings) -> Callable[..., str]:
    """Runs a command with the test's settings; what it prints, or says is wrong."""
    typed = Typed(service_settings.environment())
    return lambda line, status=0, **env: typed(*line.split(), status=status, **env)


Type = Callable[..., str]


def test_keys_are_listed_rotated_retired_and_revoked(command: Type) -> None:
    (first,) = re.findall(r"^(\w{32})  20\S+  signing$", command("keys list"), re.MULTILINE)
    assert "rotate first" in command(f"keys retire {first}", status=1)
    told = command("keys rotate")
    second = told[:32]
    assert told == f"{second} is published, and signs in 600 seconds.\n"
    listed = command("keys list")
    assert re.search(rf"^{second}  20\S+  published  20", listed, re.MULTILINE)
    assert re.search(rf"^{first}  20\S+  signing    20", listed, re.MULTILINE)
    assert command(f"keys retire {first}") == f"{first} signs no more.\n"
    assert re.search(rf"^{first}  20\S+  retired  20", command("keys list"), re.MULTILINE)
    assert command(f"keys revoke {first}") == f"{first} is out of use; {second} signs.\n"
    assert first not in command("keys list")


def test_service_principal_is_shown_rotated_and_revoked(command: Type) -> None:
    command("service-principal create billing --scope deposits:write --expires-days 90")
    listed = command("service-principal list").splitlines()
    assert listed[1:] == ["billing    active  deposits:write"]
    told = json.loads(command("service-principal rotate billing --old-expires-hours 24"))
    assert told.keys() == {"client_id", "client_secret", "secret_id"}
    shown = json.loads(command("service-principal show billing -o json"))
    new, old = (secret["secret_id"] for secret in shown["secrets"])
    assert new == told["secret_id"]
    shown = command("service-principal show billing")
    assert re.search(rf"^{old}  active  20\S+  20\S+$", shown, re.MULTILINE)
    assert told["client_secret"] not in shown
    assert command(f"service-principal revoke-secret billing {old}") == f"{old} is revoked.\n"
    assert "that goes on" in command(f"service-principal revoke-secret billing {old}", status=1)
    told_bound = command("service-principal bind billing --uri spiffe://a/b")
    bound = told_bound.split()[-1]
    assert "already" in command("service-principal bind billing --uri spiffe://a/b", status=1)
    assert "give one of" in command("service-principal bind billing", status=2)
    shown = command("service-principal show billing")
    assert re.search(rf"^{bound}  uri:spiffe://a/b  active  20\S+$", shown, re.MULTILINE)
    assert command(f"service-principal unbind billing {bound}") == f"{bound} is revoked.\n"
    assert "that goes on" in command(f"service-principal unbind billing {bound}", status=1)
    assert "no longer" in command("service-principal revoke billing")
    assert "billing    revoked  deposits:write" in command("service-principal list")
    assert "no service other" in command("service-principal show other", status=1)


def test_secret_is_resealed_with_what_the_environment_says(command: Type) -> None:
    command("keys rotate")
    told = command(
        "secret reseal",
        BALANCE_SECRET="another-one-of-tests-and-long-enough-98765",
        BALANCE_PREVIOUS_SECRET="only-for-tests-and-long-enough-0123456789",
    )
    assert told.splitlines() == [
        "sealed again: 2 signing keys, 0 second factors, 0 webhook secrets",
        "hashed with another secret: 0 client secrets, 0 recovery codes",
    ]
    assert "BALANCE_SECRET is not the one" in command("keys list", status=1)
