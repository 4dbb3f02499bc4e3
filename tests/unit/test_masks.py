"""Field masks and etags of partial updates."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from balance_service.domain import errors
from balance_service.messages import masks
from balance_service.messages.fields import Checks

ALLOWED = ("name", "price", "description")


def names(*paths: str) -> set[str]:
    checks = Checks()
    masked = masks.read(checks, FieldMask(paths=paths), {}, ALLOWED)
    checks.finish()
    return set(masked.names)


def test_mask_names_its_fields() -> None:
    assert names("price", "name", "name") == {"name", "price"}


def test_star_names_every_field_that_may_be_changed() -> None:
    assert names("*") == set(ALLOWED)


@pytest.mark.parametrize(
    ("paths", "description"),
    [
        ([], "must name one of description, name, price"),
        (["name", "etag"], "must not name etag"),
        (["*", "name"], "must not name *"),
        ([f"x{n}" for n in range(9)], "must not name x0, x1, x2, x3, x4"),
    ],
)
def test_mask_that_names_nothing_or_too_much_is_refused(paths: list[str], description: str) -> None:
    with pytest.raises(errors.InvalidFields) as refused:
        names(*paths)
    assert refused.value.violations == (errors.Violation("update_mask", description),)


def test_etag_is_the_version_or_is_not_sent() -> None:
    masks.check_etag("", 3)
    masks.check_etag("3", 3)
    for etag in ("2", "03", "x"):
        with pytest.raises(errors.EtagMismatch):
            masks.check_etag(etag, 3)
