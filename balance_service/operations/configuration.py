"""Tries what the settings name, as `serve` will, and changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from balance_service.auth import keys
from balance_service.auth.settings import read_secrets
from balance_service.config import Settings
from balance_service.database import migrate, roles
from balance_service.database.pool import transaction
from balance_service.operations.acts import connect
from balance_service.providers.download import RatesError
from balance_service.providers.mail import SmtpMailer
from balance_service.providers.rates import provider
from balance_service.repositories import signing_keys
from balance_service.server.explanations import explain

# For each trial as a whole; none has another work to wait for.
TRIAL_SECONDS_MAX = 20


class Trial(NamedTuple):
    """What was tried, and what came of it.

    Args:
        name: What was tried.
        fault: What is wrong, in a sentence; empty if nothing is.
        detail: What was found; empty for nothing to tell.
    """

    name: str
    fault: str
    detail: str = ""


async def try_all(settings: Settings) -> list[Trial]:
    """Tries the database, the mail server and the source of rates, all at once."""
    trials: dict[str, Callable[[Settings], Awaitable[str]]] = {
        "database": _try_database,
        "mail": _try_mail,
        "rates": _try_rates,
    }
    return await asyncio.gather(*(_try(name, work, settings) for name, work in trials.items()))


async def _try(name: str, work: Callable[[Settings], Awaitable[str]], settings: Settings) -> Trial:
    try:
        async with asyncio.timeout(TRIAL_SECONDS_MAX):
            return Trial(name, "", await work(settings))
    except TimeoutError:
        return Trial(name, f"no answer within {TRIAL_SECONDS_MAX} s")
    except RatesError as error:
        return Trial(name, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was asked for
        return Trial(name, explain(error))


async def _try_database(settings: Settings) -> str:
    """Signs in; looks at the schema, at what the role may do, and at whose secret it is."""
    url = settings.database_url.get_secret_value()
    if not url:
        raise ValueError("BALANCE_DATABASE_URL is not set")
    async with connect(settings) as connections:
        await asyncio.to_thread(migrate.check, url)
        await asyncio.to_thread(roles.check_login, url)
        if settings.secret.get_secret_value():
            async with transaction(connections, rehearsal=True) as conn:
                # With none stored, this secret is as good as another.
                if await signing_keys.in_use(conn):
                    await keys.prove(conn, read_secrets(settings))
    return "answers; its schema and its role are what the service needs"


async def _try_mail(settings: Settings) -> str:
    """Signs in to the mail server, and sends nothing."""
    url = settings.smtp_url.get_secret_value()
    if not url:
        return "none is set: mail goes to the terminal"
    await SmtpMailer(url, settings.mail_from).try_once()
    return "answers, and takes the sign-in"


async def _try_rates(settings: Settings) -> str:
    """Fetches a sheet, and keeps nothing of it."""
    sheet = await provider(settings.rates_source, settings.rates_url).fetch()
    return f"{len(sheet.quotations)} currencies as of {sheet.as_of.isoformat(timespec='minutes')}"
