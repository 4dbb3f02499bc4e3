"""`balance-service migrate`: the database's schema."""

import typer

from balance_service.commands.output import Format, Output, examples, show_list
from balance_service.commands.settings import open_database

app = typer.Typer(no_args_is_help=True, help="Bring the database's schema up to date.")


@app.command(epilog=examples("balance-service migrate status"))
def status(output: Output = Format.TABLE) -> None:
    """Show which migrations the database has."""
    from balance_service.database import migrate

    with open_database(migrated=False) as settings:
        known = migrate.status(settings.migration_url)
    shown = [
        {"state": "applied" if each.applied else "pending", "name": each.name} for each in known
    ]
    show_list(shown, ("state", "name"), output)


@app.command(epilog=examples("balance-service migrate plan > changes.sql"))
def plan() -> None:
    """Print the SQL that `up` would run."""
    from balance_service.database import migrate

    with open_database(migrated=False) as settings:
        for migration in migrate.status(settings.migration_url):
            if not migration.applied:
                typer.echo(f"-- {migration.name}\n{migration.sql}")


@app.command(epilog=examples("balance-service migrate up"))
def up() -> None:
    """Apply what is missing; one process at a time."""
    from balance_service.database import migrate

    with open_database(migrated=False) as settings:
        separate = bool(settings.owner_database_url.get_secret_value())
        service_url = settings.database_url.get_secret_value() if separate else ""
        applied = migrate.up(settings.migration_url, service_url)
    for migration in applied:
        typer.echo(f"applied  {migration.name}")
    typer.echo("The schema is up to date.")
