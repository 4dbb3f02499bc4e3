"""`balance-service config`: the settings, as they are and whether they will do."""

import asyncio
from typing import TYPE_CHECKING

import typer

from balance_service.commands.output import Format, Output, Row, examples, show_list
from balance_service.commands.settings import WRONGLY_USED, read_settings_and_faults

if TYPE_CHECKING:
    from balance_service.config import Settings

app = typer.Typer(no_args_is_help=True, help="The settings.")

# Shown in place of a secret, whatever its length.
MASK = "********"


@app.command(epilog=examples("balance-service config check"))
def check(output: Output = Format.TABLE) -> None:
    """Tell all that is wrong with the settings of `serve`; status 2 if anything is.

    Tries the database, the mail server and the source of rates as well, and changes nothing.
    """
    from balance_service.operations import configuration

    settings, faults = read_settings_and_faults("production", serving=True)
    shown: list[Row] = [
        {"check": name, "ok": False, "told": fault} for name, fault in sorted(faults.items())
    ]
    for trial in asyncio.run(configuration.try_all(settings)):
        told = trial.fault or trial.detail
        shown.append({"check": trial.name, "ok": not trial.fault, "told": told})
    show_list(shown, ("check", "ok", "told"), output)
    if not all(each["ok"] for each in shown):
        raise typer.Exit(WRONGLY_USED)


@app.command(epilog=examples("balance-service config show", "balance-service config show -o json"))
def show(output: Output = Format.TABLE) -> None:
    """Show every setting, its value and where that comes from; secrets are masked."""
    from balance_service import config

    settings, faults = read_settings_and_faults()
    sources = config.read_sources()
    shown = [
        {
            "setting": config.variable(name),
            "value": _value(settings, name),
            "source": sources[name],
            "fault": faults.get(config.variable(name), ""),
        }
        for name in config.Settings.model_fields
    ]
    show_list(shown, ("setting", "value", "source", "fault"), output)


def _value(settings: "Settings", name: str) -> str:
    from pydantic import SecretStr

    value = getattr(settings, name)
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    return str(value).lower() if isinstance(value, bool) else str(value)
