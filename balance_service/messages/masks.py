"""Partial updates: which fields a mask names, and whether the version read is still current."""

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask

from balance_service.domain import errors


def named(mask: FieldMask, allowed: Collection[str]) -> frozenset[str]:
    """The fields that a mask names; `*` names all that are allowed (AIP-134).

    Raises:
        InvalidFields: The mask is empty, or names a field that cannot be changed this way.
    """
    paths = frozenset(mask.paths)
    if paths == {"*"}:
        return frozenset(allowed)
    if not paths:
        raise errors.invalid("update_mask", f"must name one of {', '.join(sorted(allowed))}")
    if unknown := sorted(paths - frozenset(allowed)):
        raise errors.invalid("update_mask", f"must not name {', '.join(unknown[:5])}")
    return paths


def check_etag(etag: str, version: int) -> None:
    """Raises EtagMismatch if an etag was sent and is not the current one (AIP-154)."""
    if etag and etag != str(version):
        raise errors.EtagMismatch
