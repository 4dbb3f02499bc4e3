"""Explains what failed in one sentence, to whoever typed a command: no traceback, no secret."""

import traceback
from pathlib import Path

from balance_service.database.cluster import ClusterUnfit
from balance_service.database.migrate import SchemaError
from balance_service.database.pool import DatabaseUnavailable, PostgresError, one_line
from balance_service.database.roles import RoleUnfit
from balance_service.domain import errors

# Raised with a message that the service wrote, which may be shown.
_OURS = (
    ClusterUnfit,
    DatabaseUnavailable,
    LookupError,
    RoleUnfit,
    RuntimeError,
    SchemaError,
    ValueError,
)

# What commands end with, besides 0.
FAILED, WRONGLY_USED, REFUSED = 1, 2, 3
# What may go well the next time, whoever asks and for what.
_PASSING = (errors.DeadlinePassed, errors.Overloaded, errors.QuotaExceeded, errors.Unavailable)


def exit_status(error: Exception) -> int:
    """What a command ends with that failed so."""
    if isinstance(error, errors.InvalidFields):
        return WRONGLY_USED
    if isinstance(error, errors.Refusal) and not isinstance(error, _PASSING):
        return REFUSED
    return FAILED


def explain(error: Exception) -> str:
    """What an error means, in one line."""
    return " ".join(_describe(error).split())


def _describe(error: Exception) -> str:
    if isinstance(error, errors.InvalidFields):
        return "; ".join(f"{each.field} {each.description}" for each in error.violations)
    if isinstance(error, errors.Refusal):
        facts = ", ".join(f"{name} {value}" for name, value in error.facts().items())
        return f"{error.message.removesuffix('.')}: {facts}." if facts else error.message
    if isinstance(error, PostgresError):
        return f"Postgres refused: {one_line(error)}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, (*_OURS, OSError)) and not isinstance(error, KeyError | IndexError):
        return str(error) or _locate(error)
    return _locate(error)


def _locate(error: Exception) -> str:
    """Names an error that nobody foresaw by its class and line: its message may hold a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"internal fault: {type(error).__name__}{place}"
