"""Tests that cannot run with a database on a Citus cluster, and why."""

from collections.abc import Mapping, Sequence
from typing import Final

# By reason, files or tests as pytest names them; a name stands for all whose names begin with it.
SKIPPED: Final[Mapping[str, Sequence[str]]] = {
    "a journal in partitions is not distributed": (
        "tests/e2e/test_archived.py",
        "tests/e2e/test_archives.py",
        "tests/e2e/test_partition_commands.py",
        "tests/integration/test_archived.py",
        "tests/integration/test_archives.py",
        "tests/integration/test_conversion.py",
        "tests/integration/test_partitions.py",
    ),
    "there are no sub-accounts": (
        "tests/e2e/test_sub_accounts.py",
        "tests/integration/test_sub_accounts.py",
    ),
    "`verify` asks for a ledger on one server": (
        "tests/e2e/test_verify_ledger.py",
        "tests/integration/test_checkpoints.py",
        "tests/integration/test_journal_export.py",
        "tests/integration/test_proof.py",
        "tests/integration/test_verification.py",
    ),
    "it is about one server and its standbys": (
        "tests/e2e/test_standbys.py",
        "tests/integration/test_pool.py",
        "tests/integration/test_pooler.py",
        "tests/integration/test_postgres_versions.py",
    ),
}


def reason(node_id: str) -> str:
    """Why a test is skipped on a cluster; empty if it is not.

    Args:
        node_id: As pytest names it, from the root of the repository.
    """
    for why, names in SKIPPED.items():
        if node_id.startswith(tuple(names)):
            return why
    return ""
