"""`balance-service export-events`: has others read the log of events."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from balance_service.commands.settings import open_database

if TYPE_CHECKING:
    from balance_service.config import Settings

To = Annotated[
    str,
    typer.Option(
        help="The NATS server whose JetStream takes them, such as nats://127.0.0.1:4222, or "
        "several, separated by commas.",
        show_default=False,
    ),
]
Name = Annotated[str, typer.Option(help="Under which it is kept how far it has come.")]
Credentials = Annotated[
    str, typer.Option(help="Path of a .creds file of NATS.", show_default=False)
]


def export_events(to: To, name: Name = "nats", credentials: Credentials = "") -> None:
    """Publish all events to NATS JetStream, in their order, until it is stopped."""
    from balance_service.server import logs

    with open_database() as settings:
        logs.configure(settings.log_level)
        asyncio.run(_export(settings, to, name, credentials))


async def _export(settings: "Settings", to: str, name: str, credentials: str) -> None:
    from balance_service.operations import event_export, nats_stream
    from balance_service.server.signals import catch_stop_signals

    stopping = catch_stop_signals()
    async with nats_stream.connected(to, credentials) as publish:
        await event_export.export(settings, name, publish, stopping)
