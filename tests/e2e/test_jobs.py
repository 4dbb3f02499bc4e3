"""The page of an operator's jobs: its commands are run as they stand there, and print what it says.

They are run on a server of the test's own that archives its log, so that it can be restored.
"""

import asyncio
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.database import embedded, migrate
from balance_service.domain.principals import Scope
from balance_service.operations import administration, service_principals
from rehearsals import stage
from tests.cli import Typed
from tests.operators_story import EMAIL, tell

PAGE = Path(__file__).parent.parent.parent / "docs/operating/jobs.md"
SAMPLE = "019a5c3e-7c1a-7000-8000-00000000000"
# What differs from run to run, and what stands for it.
PATTERNS = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    (r"user-[0-9a-f]{12}", "USERNAME"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)", "TIME"),
    (r"\d{8}T\d{6}Z", "NAME"),
    (r"\d{4}-\d\d-\d\d", "DATE"),
    (r"\b[1-9]\d{9}\b", "NUMBER"),
    (r'"client_secret": "[\w.-]+"', "SECRET"),
    (r"operator:\S+", "OPERATOR"),
    (r"(?<=target )\s*/\S+", "PATH"),
    (r"[━┏┓┡┩└┘─┳╇┴ \t]+", " "),
)


class Archived(NamedTuple):
    """A server that archives its log, with a migrated database."""

    settings: Settings
    superuser_url: str
    folder: Path

    def archive(self) -> None:
        """Has all that was committed so far archived."""
        wait = "SELECT last_archived_wal >= %s FROM pg_stat_archiver"
        with psycopg.connect(self.superuser_url, autocommit=True) as conn:
            name = conn.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
            deadline = time.monotonic() + 60
            while conn.execute(wait, name).fetchone() != (True,):
                assert time.monotonic() < deadline, "its log is not archived"
                time.sleep(0.05)

    def now(self) -> str:
        with psycopg.connect(self.superuser_url) as conn:
            row = conn.execute("SELECT clock_timestamp()").fetchone()
        assert row
        return str(row[0].isoformat())


@pytest.fixture
def archived() -> Iterator[Archived]:
    # Not within pytest's folder, which Postgres's user may not enter where this is root.
    with (
        tempfile.TemporaryDirectory(prefix="balance-jobs-") as name,
        embedded.running(Path(name) / "postgres", Path(name) / "backups") as url,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        migrate.up(url, stage.service_url(url))
        settings = Settings(
            database_url=SecretStr(stage.service_url(url)),
            backup_database_url=SecretStr(url),
            backup_dir=str(folder / "backups"),
            data_dir=str(folder),
            secret=SecretStr("only-for-tests-and-long-enough-0123456789"),
            grpc_port=0,
            http_port=0,
            development=True,
            user_deposits=True,
            door="grpcio",
        )
        yield Archived(settings, url, folder)


def jobs() -> Iterator[tuple[str, str]]:
    """The page's commands, and what it says that they print."""
    text = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"^```console\n\$ (.*?)^```", text, re.DOTALL | re.MULTILINE):
        command, _, told = block.partition("\n")
        yield command, told


def pattern(told: str) -> str:
    """What matches a text; a line of three dots stands for any lines."""
    parts = re.split(r"^\.\.\.$\n?", told, flags=re.MULTILINE)
    return r"(?s:.*)".join(re.escape(normalised(part)) for part in parts)


def normalised(text: str) -> str:
    for found, name in PATTERNS:
        text = re.sub(found, name, text)
    return "\n".join(line.strip() for line in text.splitlines()) + ("\n" if text else "")


def test_commands_of_the_page_print_what_it_says(archived: Archived) -> None:
    settings, folder = archived.settings, archived.folder
    typed = Typed(settings.environment())
    typed("backup", "create")
    asyncio.run(
        administration.create_service_principal(
            settings, "billing", "Bills customers", [Scope.DEPOSITS_WRITE]
        )
    )
    (leaked,) = asyncio.run(service_principals.show(settings, "billing")).secrets
    story = tell(settings)
    moment = archived.now()
    stands_for: dict[str, Callable[[], str]] = {
        "1000000009": lambda: story.number,
        "1000000017": lambda: story.other_number,
        f"{SAMPLE}3": lambda: story.purchase,
        f"movement:{SAMPLE}4": lambda: newest_reversal(typed),
        f"{SAMPLE}6": lambda: str(leaked.secret_id),
        "2026-11-27T14:05Z": lambda: moment,
        "/backups": lambda: str(folder / "backups"),
        "/var/lib/postgresql/restored": lambda: str(folder / "restored"),
    }
    run = 0
    for command, told in jobs():
        if " restore " in command:
            archived.archive()
        words = shlex.split(command.partition(" >")[0])[1:]
        real = [stands_for[word]() if word in stands_for else word for word in words]
        done = typed.run(*real)
        assert done.status == 0, (command, done)
        if " > " not in command:
            assert re.fullmatch(pattern(told), normalised(done.out)), (command, done.out)
        run += 1
    assert run >= 12
    assert EMAIL in PAGE.read_text(encoding="utf-8")


def newest_reversal(typed: Typed) -> str:
    told = typed("audit", "list", "--action", "movement.reversed").splitlines()[1]
    return str(re.findall(r"movement:\S+", told)[0])
