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
        "tests/console/test_acts.py::test_account_is_given_sub_accounts",
        "tests/e2e/test_operators_commands.py::test_account_is_given_sub_accounts",
        "tests/e2e/test_sub_accounts.py",
        "tests/integration/test_sub_account_histories.py",
        "tests/integration/test_sub_accounts.py",
    ),
    "its faults are planted, or looked for, by statements of one server: "
    "test_cluster_verification.py": (
        "tests/e2e/test_account_rules.py::test_verify_names_counters",
        "tests/e2e/test_external_ids.py::test_verify_names_external_ids",
        "tests/e2e/test_movement_search.py::test_verify_names_labels",
        "tests/e2e/test_verify_ledger.py::test_fault_is_told",
        "tests/integration/test_proof.py",
        "tests/integration/test_verification.py",
    ),
    "the test itself asks or changes what lies on several shards": (
        "tests/integration/test_commit_path.py::test_database_itself_refuses_a_balance",
        "tests/integration/test_follow_ups.py::test_database_itself_keeps_holds",
        "tests/integration/test_grants.py::test_role_is_refused_what_no_statement_does",
        "tests/integration/test_journal_export.py",
        "tests/integration/test_sales.py",
        "tests/integration/test_totals.py",
    ),
    "no version before migration 0004 runs there": (
        "tests/integration/test_references.py::test_both_versions_at_once",
        "tests/integration/test_references.py::test_references_of_earlier_rows",
        "tests/integration/test_references.py::test_version_before_finds",
    ),
    "Citus explains no statement without its values: test_cluster_plans.py": (
        "tests/integration/test_grants.py::test_every_statement_is_allowed",
    ),
    "the role of the service has other settings there: test_cluster.py": (
        "tests/integration/test_roles.py::test_owner_without_superuser",
        "tests/integration/test_roles.py::test_role_of_the_service_is_made",
    ),
    "a lock on a shard draws no number on the coordinator": (
        "tests/integration/test_events.py::test_account_is_told_in_its_order",
    ),
    "reports.sales_by_service_and_month joins several shards": (
        "tests/integration/test_report_views.py::test_views_show_the_journal",
    ),
    "Citus has views of its own, which everybody may read": (
        "tests/integration/test_report_views.py::test_role_reads_the_views",
    ),
    "it has one server answer in the words of a cluster, and in its own": (
        "tests/integration/test_cluster_statements.py",
        "tests/integration/test_cluster_verification.py::test_statements_for_a_cluster_find",
    ),
    "it is about one server, alone or with standbys": (
        "tests/e2e/test_ledger_standbys.py",
        "tests/e2e/test_past_standbys.py",
        "tests/e2e/test_standbys.py",
        "tests/integration/test_cluster.py::test_plain_postgres_is_no_cluster",
        "tests/integration/test_final_moments.py",
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
