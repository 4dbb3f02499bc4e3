"""`balance-service backup` and `restore`: copies of the database, and servers made of them."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from balance_service.commands import progress
from balance_service.commands.desk import parse_moment
from balance_service.commands.output import Format, Output, examples, show_list, show_one
from balance_service.commands.settings import WRONGLY_USED, open_database, read_settings

if TYPE_CHECKING:
    from balance_service.config import Settings

FAULTY = 1
COLUMNS = ("name", "began", "ended", "postgres", "verified", "archived")

app = typer.Typer(no_args_is_help=True, help="Copies of the database.")

Folder = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIRECTORY",
        help="The folder of back-ups.",
        show_default="BALANCE_BACKUP_DIR",
    ),
]
Programs = Annotated[
    str,
    typer.Option(
        metavar="DIRECTORY", help="Where Postgres's programs are.", show_default="looked for"
    ),
]


@app.command(
    epilog=examples(
        "balance-service backup create /backups",
        "balance-service backup create /backups --programs /usr/lib/postgresql/18/bin",
    )
)
def create(
    directory: Folder = None, programs: Programs = "", output: Output = Format.TABLE
) -> None:
    """Copy the whole database by pg_basebackup, beside the traffic, and check the copy's files."""
    from balance_service.operations import backups

    visible = sys.stderr is not None and sys.stderr.isatty()
    with open_database(migrated=False) as settings:
        folder = _folder(settings, directory)
        made = backups.create(settings, folder, programs, show_progress=visible)
    if not made.archived:
        told = "Postgres does not archive its log: this copy can be restored to its own end alone."
        typer.echo(told, err=True)
    show_one(made.facts(), output)


@app.command("list", epilog=examples("balance-service backup list /backups"))
def list_(directory: Folder = None, output: Output = Format.TABLE) -> None:
    """Show the back-ups that a folder has, the newest first."""
    from balance_service.database import backups

    found = backups.list_all(_folder(read_settings(), directory))
    show_list([backup.facts() for backup in found], COLUMNS, output)


def restore(
    target: Annotated[
        Path,
        typer.Argument(help="The new data directory, which may not be there.", show_default=False),
    ],
    to_time: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_moment,
            metavar="MOMENT",
            help="As of when, such as 2026-11-27T14:05Z.",
            show_default="all that is archived",
        ),
    ] = None,
    backups: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY", help="The folder of back-ups.", show_default="BALANCE_BACKUP_DIR"
        ),
    ] = None,
    restore_command: Annotated[
        str,
        typer.Option(
            help="Fetches a file of the log, as Postgres's setting of that name.",
            show_default="from the folder of back-ups",
        ),
    ] = "",
    programs: Programs = "",
    user: Annotated[
        str,
        typer.Option(
            help="Whom Postgres runs as where this is root.", show_default="the log's owner"
        ),
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Make a new server of the newest back-up before a moment, and hold it to `verify`.

    Takes the role and the database's name from BALANCE_DATABASE_URL. The server that is running is
    left alone. Status 1 if the ledger is not clean; the new server is stopped at the end.
    """
    from balance_service.operations import backups as operations

    settings = read_settings()
    if not settings.database_url.get_secret_value():
        raise ValueError("BALANCE_DATABASE_URL is not set: it names the role and the database")
    asked = operations.Asked(
        _folder(settings, backups), to_time, target.absolute(), restore_command, programs, user
    )
    with progress.shown("Restoring") as report_progress:
        made = operations.restore(settings, asked, report_progress)
    moment = to_time.isoformat() if to_time else "all that was archived"
    shown = {
        "target": str(asked.target),
        "backup": made.backup.name,
        "as_of": moment,
        "clean": made.report.clean,
        **made.report.totals,
    }
    show_one(shown, output)
    if not made.report.clean:
        typer.echo("The ledger is NOT clean: start the server, and run `verify` on it.", err=True)
        raise typer.Exit(FAULTY)


def _folder(settings: "Settings", given: Path | None) -> Path:
    """The folder of back-ups, as an absolute path: Postgres has another working directory."""
    chosen = given or (Path(settings.backup_dir) if settings.backup_dir else None)
    if chosen is None:
        typer.echo("name the folder of back-ups, or set BALANCE_BACKUP_DIR", err=True)
        raise typer.Exit(WRONGLY_USED)
    return chosen.absolute()
