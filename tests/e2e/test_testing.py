"""What `balance_client.testing` gives to others' tests, and what the documentation shows of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from balance_client.testing import EphemeralService, NotInstalled, find_command
from balance_client.testing.ephemeral import COMMAND

pytestmark = pytest.mark.xdist_group("ephemeral")

GUIDES = Path(__file__).parent.parent.parent / "docs/guides"


def blocks(page: str, language: str) -> list[str]:
    """The programs of a page."""
    text = (GUIDES / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def run_pytest(folder: Path, **env: str) -> str:
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ".",
    )
    done = subprocess.run(
        command, cwd=folder, env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.usefixtures("ephemeral_home")
def test_tests_of_the_documentation_pass_and_are_skipped_without_a_service(tmp_path: Path) -> None:
    conftest, *tests = blocks("testing", "python")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_shop.py").write_text("\n".join(tests))
    # Variables of a caller's own are not taken for settings of the service.
    assert "3 passed" in run_pytest(tmp_path, BALANCE_TARGET="balance:50051")
    said = run_pytest(tmp_path, PATH="/nowhere")
    assert "2 passed, 1 skipped" in said
    assert "balance-service is not in PATH" in said


def test_command_is_that_of_the_variable_or_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotInstalled, match=COMMAND):
        find_command()
    monkeypatch.setenv(COMMAND, "'/a b/balance-service' --option")
    assert find_command() == ["/a b/balance-service", "--option"]


def test_story_over_http_is_told_as_the_page_says(balance_service: EphemeralService) -> None:
    (story,) = blocks("quickstart", "bash")
    user, shop = balance_service.user(0), balance_service.user(0)
    env = {
        "BASE": balance_service.http,
        "CLIENT_ID": balance_service.client_id,
        "CLIENT_SECRET": balance_service.client_secret,
        "USER_ID": user.id,
        "SHOP": shop.account,
    }
    done = subprocess.run(
        ["bash", "-euc", story], env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("100.50\n0.60\n0.60\n", "")
