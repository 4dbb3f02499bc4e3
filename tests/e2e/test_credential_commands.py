"""The commands about keys, sibling services and secrets, as an operator types them."""

import re
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from balance_service.cli import app
from balance_service.config import Settings

Type = Callable[..., str]


@pytest.fixture
def command(service_settings: Settings) -> Type:
    """Runs a command with the test's settings; what it prints, or says is wrong."""

    def run(line: str, status: int = 0, **env: str) -> str:
        result = CliRunner().invoke(
            app, line.split(), env={**service_settings.environment(), **env}
        )
        if status:
            assert isinstance(result.exception, ValueError), result.output
            return str(result.exception)
        assert result.exception is None, result.output
        return result.output

    return run


def test_keys_are_listed_rotated_retired_and_revoked(command: Type) -> None:
    (first,) = re.findall(r"^(\w{32})  made .*  signing$", command("keys list"), re.MULTILINE)
    assert "rotate first" in command(f"keys retire {first}", status=1)
    told = command("keys rotate")
    second = told[:32]
    assert told == f"{second} is published, and signs in 600 seconds.\n"
    listed = command("keys list")
    assert re.search(rf"^{second}  made .*  published until 20", listed, re.MULTILINE)
    assert re.search(rf"^{first}  made .*  signing until 20", listed, re.MULTILINE)
    assert command(f"keys retire {first}") == f"{first} signs no more.\n"
    assert re.search(rf"^{first}  made .*  retired until 20", command("keys list"), re.MULTILINE)
    assert command(f"keys revoke {first}") == f"{first} is out of use; {second} signs.\n"
    assert first not in command("keys list")
