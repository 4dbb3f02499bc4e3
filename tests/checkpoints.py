"""Checkpoints under test: made at once, and receipts that are checked as the guide checks them."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from balance_service.auth.keys import KeySet
from balance_service.auth.settings import read_secrets
from balance_service.config import Settings
from balance_service.database.pool import Pool
from balance_service.ledger.checkpoints import Checkpoints
from tests.events import number_all

ORIGIN = "https://ledger.example"
GUIDE = Path(__file__).parent.parent / "docs/guides/receipts.md"


async def maker(pool: Pool, settings: Settings, interval: timedelta = timedelta(0)) -> Checkpoints:
    """Makes checkpoints as a worker does, by default whenever anything is new."""
    keys = KeySet(pool, read_secrets(settings))
    await keys.load()
    return Checkpoints(pool, keys.signing, ORIGIN, interval)


async def cover_all(pool: Pool, settings: Settings) -> Checkpoints:
    """Covers all that is committed."""
    await number_all(pool)
    checkpoints = await maker(pool, settings)
    while await checkpoints.cover_events():
        pass
    return checkpoints


def guides_check() -> Callable[[dict[str, Any], bytes], tuple[dict[str, Any], dict[str, Any]]]:
    """The very lines that the guide has."""
    lines = re.search(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert lines is not None
    namespace: dict[str, Any] = {}
    exec(lines[1], namespace)
    check: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], dict[str, Any]]]
    check = namespace["check"]
    return check
