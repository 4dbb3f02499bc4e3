"""Partial updates: which fields are changed, to what, and whether the version is still current."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from google.protobuf.field_mask_pb2 import FieldMask

from balance_service.domain import errors
from balance_service.messages.fields import Checks


class Masked(NamedTuple):
    """What a partial update changes.

    Args:
        names: The fields that its mask names.
        values: Their new values, by name.
    """

    names: frozenset[str]
    values: Mapping[str, object]


def read(
    checks: Checks,
    mask: FieldMask,
    readers: Mapping[str, Callable[[], object]],
    allowed: Collection[str],
) -> Masked:
    """Reads the fields that a mask names, and no others: those may hold anything.

    Args:
        checks: Collects what is wrong with the mask and with the fields.
        mask: `*` names all fields that are allowed (AIP-134).
        readers: Read a field each, by its name.
        allowed: Which fields this caller may change.
    """
    names = frozenset(mask.paths)
    if names == {"*"}:
        names = frozenset(allowed)
    checks(_check_names, names, allowed)
    values = {name: checks(reader) for name, reader in readers.items() if name in names}
    return Masked(names, values)


def _check_names(names: frozenset[str], allowed: Collection[str]) -> None:
    if not names:
        raise errors.invalid("update_mask", f"must name one of {', '.join(sorted(allowed))}")
    if unknown := sorted(names - frozenset(allowed)):
        raise errors.invalid("update_mask", f"must not name {', '.join(unknown[:5])}")


def check_etag(etag: str, version: int) -> None:
    """Raises EtagMismatch if an etag was sent and is not the current one (AIP-154)."""
    if etag and etag != str(version):
        raise errors.EtagMismatch
