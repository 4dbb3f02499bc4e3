"""What failed, in one sentence for whoever typed a command: no traceback, no secret."""

import traceback
from pathlib import Path

from balance_service.database.migrate import SchemaError
from balance_service.database.pool import DatabaseUnavailable, PostgresError, one_line
from balance_service.domain import errors

# Raised with a sentence of ours.
_SPOKEN = (DatabaseUnavailable, LookupError, RuntimeError, SchemaError, ValueError)


def sentence(error: Exception) -> str:
    """What an error means, in one line."""
    return " ".join(_text(error).split())


def _text(error: Exception) -> str:
    if isinstance(error, errors.InvalidFields):
        return "; ".join(f"{each.field} {each.description}" for each in error.violations)
    if isinstance(error, errors.Refusal):
        return error.message
    if isinstance(error, PostgresError):
        return f"Postgres refused: {one_line(error)}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, (*_SPOKEN, OSError)) and not isinstance(error, KeyError | IndexError):
        return str(error) or _fault(error)
    return _fault(error)


def _fault(error: Exception) -> str:
    """Names an error that nobody foresaw, by its kind and place: its text may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"internal fault: {type(error).__name__}{place}"
