"""`balance-service archives`: old entries in files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from balance_service.commands.output import Format, Output, Row, examples, show_list
from balance_service.commands.settings import open_database

app = typer.Typer(no_args_is_help=True, help="Keep old entries in files.")

COLUMNS = ("from", "until", "entries", "system_entries", "bytes", "archived_at")

Folder = Annotated[Path, typer.Argument(metavar="DIRECTORY", help="The folder of archives.")]


@app.command(epilog=examples("balance-service archives write /archives --before 2027-01-01"))
def write(
    directory: Folder,
    before: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="DATE",
            help="Periods that end then (UTC) or earlier are written, the oldest first.",
        ),
    ],
    age: Annotated[
        int, typer.Option("--age-days", min=31, help="How long ago a period must have ended.")
    ] = 365,
    *,
    keep: Annotated[
        bool, typer.Option(help="Leave what is detached, as tables of their own.")
    ] = False,
) -> None:
    """Write old entries to files, verify these, and take the entries out of the database.

    Where it is stopped or fails, give it again: it goes on where it ended.
    """
    from balance_service.operations import archives

    with open_database() as settings:
        moment, days = before.replace(tzinfo=UTC), timedelta(days=age)
        written = archives.write(settings, directory, moment, days, keep=keep, report=_tell)
    for manifest in written:
        rows = manifest.files["entries"].rows
        typer.echo(f"archived  until {manifest.ends_at:%Y-%m-%d}, {rows} entries")
    if not written:
        typer.echo(f"No period ended by {before:%Y-%m-%d} whose entries are in the database.")


@app.command("list", epilog=examples("balance-service archives list"))
def list_(output: Output = Format.TABLE) -> None:
    """Show the periods whose entries are in files."""
    from balance_service.operations import archives

    with open_database() as settings:
        found = archives.list_all(settings)
    shown: list[Row] = [
        {
            "from": f"{period.starts_at:%Y-%m-%d}" if period.starts_at else "ever",
            "until": f"{period.ends_at:%Y-%m-%d}",
            "entries": period.entries,
            "system_entries": period.system_entries,
            "bytes": period.entries_bytes + period.system_entries_bytes,
            "archived_at": period.archived_at.isoformat(timespec="seconds"),
        }
        for period in found
    ]
    show_list(shown, COLUMNS, output)


@app.command(epilog=examples("balance-service archives restore /archives"))
def restore(directory: Folder) -> None:
    """Put the entries that were written last back into the database; the files stay."""
    from balance_service.operations import archives

    with open_database() as settings:
        period = archives.restore(settings, directory, _tell)
    typer.echo(f"restored  until {period.ends_at:%Y-%m-%d}, {period.entries} entries")


def _tell(step: str) -> None:
    typer.echo(step, err=True)
