"""Versions of the program that run beside each other: the last release, and this tree."""

import contextlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsals import stage

ROOT = Path(__file__).parent.parent
RELEASED = ROOT / "protos" / "released"


def find_last_release() -> tuple[str, str]:
    """The last release's number, and the commit that released it: it added the contract.

    Raises:
        LookupError: This is no clone that has it.
    """
    contracts = RELEASED.glob("*.binpb")
    contract = max(contracts, key=lambda path: [int(part) for part in path.stem.split(".")])
    found = _git("log", "--diff-filter=A", "--format=%H", "--", str(contract.relative_to(ROOT)))
    commits = found.decode().split()
    # A shallow clone's oldest commit adds every file.
    if not commits or not _git("rev-parse", "--verify", "--quiet", f"{commits[0]}^"):
        raise LookupError(f"this clone lacks the commit that released {contract.stem}")
    return contract.stem, commits[0]


def unpack(commit: str, folder: Path) -> None:
    """Writes the program of a commit into a folder, from which Python runs it as if installed."""
    folder.mkdir()
    archive = _git("archive", commit, "balance_service", "migrations", "pyproject.toml")
    subprocess.run(["tar", "--extract", "--directory", folder], input=archive, check=True)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    # A program asks for its own version.
    name = project["name"].replace("-", "_")
    metadata = folder / f"{name}-{project['version']}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")


def _git(*arguments: str) -> bytes:
    """What git prints; nothing if it fails or is not here."""
    try:
        ended = subprocess.run(
            ["git", "-C", ROOT, *arguments], check=False, capture_output=True, timeout=60
        )
    except FileNotFoundError:
        return b""
    return ended.stdout if ended.returncode == 0 else b""


@dataclass(frozen=True)
class Version:
    """A version of the program, with what it runs with.

    Args:
        name: Its number, or another name.
        folder: Where its packages and migrations are.
        settings: By variable. Only those that it knows: others may be refused.
    """

    name: str
    folder: Path
    settings: Mapping[str, str]

    def run(self, *arguments: str) -> str:
        """Runs a command to its end; what it prints.

        Raises:
            RuntimeError: It failed.
        """
        ended = subprocess.run(
            self._command(*arguments),
            cwd=self.folder,
            env=self._environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if ended.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(arguments)}: {ended.stderr[-2000:]}")
        return ended.stdout

    def serve(
        self, ports: Mapping[str, str], log: Path
    ) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """Serves, and is told to stop at the end.

        Args:
            ports: Its ports, by variable.
            log: What its log is added to.
        """
        environment = self._environment() | dict(ports)
        return stage.running(self._command("serve"), environment, log, self.folder)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "balance_service", *arguments]

    def _environment(self) -> dict[str, str]:
        others = {name: text for name, text in os.environ.items() if "BALANCE_" not in name}
        # Before the packages that are installed, which are this tree's.
        return others | {"PYTHONPATH": str(self.folder)} | dict(self.settings)
