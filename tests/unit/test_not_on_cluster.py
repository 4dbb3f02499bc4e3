"""The list of tests that cannot run on a cluster names tests that there are."""

import re
from pathlib import Path

import pytest

from tests.not_on_cluster import SKIPPED, reason

ROOT = Path(__file__).parent.parent.parent
NAMES = [name for names in SKIPPED.values() for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_skipped_test_exists(name: str) -> None:
    file, _, test = name.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^ *(async )?def {test}", text, re.MULTILINE)


def test_each_is_skipped_for_one_reason() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(reason(f"{name}::test_x") for name in NAMES)
    assert not reason("tests/e2e/test_transfers.py::test_x")
