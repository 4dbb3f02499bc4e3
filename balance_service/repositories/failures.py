"""What a psycopg error means. A constraint is recognised by its name, never by a message."""

import re

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolTimeout

from balance_service.domain import errors

# For repositories that expect one.
UniqueViolation = pg.UniqueViolation

# Two commits decided the same key at once: looking again shows who was first. The migrations name
# no primary key, so these are the names that Postgres gives them: the table's, then `_pkey`.
_RACES = {
    "movements_pkey",
    "caller_references_pkey",
    "external_references_pkey",
    "purchases_pkey",
    "quote_uses_pkey",
}
# A partition of the journal has a key of its own.
_OF_PARTITION = re.compile(r"^movements_(\d{4}_\d{2}|rest)_pkey$")
# Citus repeats what a shard said, but only in words: the constraint and the shard's number.
_OF_SHARD = re.compile(r"\b(\w+?)_\d{6,}\b")
_TRANSIENT = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.IdleInTransactionSessionTimeout,
    pg.TooManyConnections,
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.ReadOnlySqlTransaction,
    pg.DiskFull,
    pg.OutOfMemory,
    PoolTimeout,
)


class LockedOtherwise(Exception):  # noqa: N818 - no fault
    """A commit locked its accounts in a way that will not do; the next attempt knows how."""


class Unsettled(pg.SerializationFailure):
    """What is depended on was committed by another, and cannot be seen on all shards yet."""


def is_transient(error: Exception) -> bool:
    """Whether the same work may succeed if it is done again."""
    if isinstance(error, pg.UniqueViolation):
        return _OF_PARTITION.sub("movements_pkey", _constraint(error)) in _RACES
    if isinstance(error, (LockedOtherwise, *_TRANSIENT)):
        return True
    # A lost connection has no SQLSTATE, or one of class 08 where a pooler tells of it. Its commit
    # may or may not have happened.
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08")[:2] == "08"


def refusal_of(error: Exception) -> errors.Refusal | None:
    """The refusal that an error amounts to outside the commit path; None for a fault of ours."""
    return errors.Unavailable() if is_transient(error) else None


def violates(error: psycopg.Error, constraint: str) -> bool:
    """Whether the error is the violation of the named constraint."""
    return _constraint(error) == constraint


def _constraint(error: psycopg.Error) -> str:
    """The constraint that was violated, by the name that the migrations give it."""
    name = error.diag.constraint_name
    found = _OF_SHARD.search(name or error.diag.message_primary or "")
    return found[1] if found else name or ""
