"""Edits of a ledger with a little of everything, each of which a check of `verify` finds."""

from typing import LiteralString, NamedTuple


class Edit(NamedTuple):
    """A change that a check finds.

    Args:
        tables: Which it changes.
    """

    tables: str
    statement: LiteralString


# By the check that finds it; others may as well.
EDITS: dict[str, Edit] = {
    "balance_is_sum_of_entries": Edit(
        "accounts", "UPDATE accounts SET balance_minor = balance_minor + 1 WHERE sequence > 0"
    ),
    "sequence_without_gaps": Edit("accounts", "UPDATE accounts SET sequence = sequence + 1"),
    "balance_after_follows": Edit(
        "entries",
        "UPDATE entries SET balance_after_minor = balance_after_minor + 1 WHERE sequence = 2",
    ),
    "account_is_dated": Edit(
        "accounts", "UPDATE accounts SET changed_at = changed_at + interval '1 microsecond'"
    ),
    "spent_is_counted": Edit("accounts", "UPDATE accounts SET spent_minor = spent_minor + 1"),
    "rules_are_as_last_changed": Edit(
        "account_changes",
        "INSERT INTO account_changes SELECT account_id, gen_random_uuid(), 1, 1, 1, 0, 5, NULL,"
        " NULL, NULL, NULL, '', '', NULL, now() FROM accounts LIMIT 1",
    ),
    "owner_has_account": Edit(
        "account_owners", "UPDATE account_owners SET account_id = gen_random_uuid()"
    ),
    "number_has_account": Edit("account_numbers", "DELETE FROM account_numbers"),
    "movement_sums_to_zero": Edit(
        "system_entries", "UPDATE system_entries SET amount_minor = amount_minor + 1000000"
    ),
    "entries_are_of_movements": Edit(
        "entries", "UPDATE entries SET counterparty_id = gen_random_uuid() WHERE sequence = 1"
    ),
    "system_entries_are_of_movements": Edit(
        "system_entries",
        "UPDATE system_entries SET created_at = created_at - interval '1 microsecond'",
    ),
    "system_balance_is_sum_of_entries": Edit("system_deltas", "DELETE FROM system_deltas"),
    "brought_forward_is_of_movements": Edit(
        "brought_forward",
        "INSERT INTO brought_forward SELECT account_id, 1, 1, now() FROM accounts LIMIT 1",
    ),
    "system_brought_forward_is_of_movements": Edit(
        "system_brought_forward",
        "INSERT INTO system_brought_forward SELECT account_id, 1, 1 FROM system_accounts LIMIT 1",
    ),
    "archive_is_of_movements": Edit(
        "archives",
        "INSERT INTO archives VALUES (now(), now() - interval '1 day', now(), 1, 1, 1, '', 1, 1, 1,"
        " '', 1, now())",
    ),
    "system_account_is_named": Edit(
        "system_accounts", "UPDATE system_accounts SET name = 'settlement/XXX'"
    ),
    "movement_is_of_its_kind": Edit(
        "movements", "UPDATE movements SET to_account_id = gen_random_uuid() WHERE kind = 3"
    ),
    "movement_in_its_accounts_currency": Edit(
        "movements", "UPDATE movements SET currency = 'EUR' WHERE kind = 4"
    ),
    "movement_id_is_derived": Edit(
        "movements",
        "UPDATE movements SET request_id = gen_random_uuid() WHERE request_id IS NOT NULL",
    ),
    "amount_follows_from_rate": Edit(
        "movements", "UPDATE movements SET rate = rate * 2 WHERE rate IS NOT NULL"
    ),
    "held_is_sum_of_holds": Edit(
        "accounts",
        "UPDATE accounts SET held_minor = held_minor + 1 WHERE balance_minor > held_minor",
    ),
    "hold_follows_from_movements": Edit(
        "holds", "UPDATE holds SET expires_at = expires_at + interval '1 microsecond'"
    ),
    "hold_has_purpose": Edit(
        "movements", "UPDATE movements SET to_account_id = gen_random_uuid() WHERE kind = 10"
    ),
    "hold_shows_balance": Edit(
        "movements",
        "UPDATE movements SET balance_after_minor = balance_after_minor + 1 WHERE kind = 10",
    ),
    "follow_has_movement": Edit("follows", "DELETE FROM follows"),
    "follow_fits_original": Edit(
        "movements", "UPDATE movements SET created_at = now() WHERE original_id IS NULL"
    ),
    "follows_within_original": Edit("follows", "UPDATE follows SET amount_minor = 1000000"),
    "quote_follows_from_rate": Edit("quotes", "UPDATE quotes SET received_minor = 1000000"),
    "movement_is_as_quoted": Edit("quotes", "UPDATE quotes SET principal = 'service:other'"),
    "quote_is_used_once": Edit(
        "quote_uses",
        "DELETE FROM quote_uses WHERE quote_id = (SELECT quote_id FROM quote_uses LIMIT 1)",
    ),
    "exchange_stays_with_its_owner": Edit(
        "accounts", "UPDATE accounts SET owner_id = gen_random_uuid()"
    ),
    "purchase_has_movement": Edit("purchases", "DELETE FROM purchases"),
    "reference_has_movement": Edit(
        "caller_references", "UPDATE caller_references SET principal = 'service:other'"
    ),
    "external_id_has_subject": Edit(
        "external_ids", "INSERT INTO external_ids VALUES ('1', 'crm', 2, gen_random_uuid())"
    ),
    "label_has_movement": Edit(
        "movement_labels",
        "INSERT INTO movement_labels SELECT '42', 'order', created_at, movement_id FROM movements",
    ),
    "event_is_numbered": Edit(
        "events",
        "DELETE FROM events WHERE last_sequence ="
        " (SELECT min(last_sequence) FROM events WHERE last_sequence > 0)",
    ),
    "movement_has_event": Edit(
        "events",
        "DELETE FROM events WHERE last_sequence = (SELECT max(last_sequence) FROM events)",
    ),
    "event_has_entries": Edit(
        "events",
        "UPDATE events SET to_sequences[1] = to_sequences[1] + 1 WHERE to_sequences[1] IS NOT NULL",
    ),
    "events_follow_each_other": Edit(
        "events",
        "UPDATE events SET movement_ids = ARRAY[movement_ids[2], movement_ids[1]],"
        " from_sequences = ARRAY[from_sequences[2], from_sequences[1]],"
        " to_sequences = ARRAY[to_sequences[2], to_sequences[1]] WHERE size = 2",
    ),
    "totals_are_of_entries": Edit(
        "ledger_totals", "UPDATE ledger_totals SET credit_minor = credit_minor + 1 WHERE span = 1"
    ),
    "totals_add_up": Edit(
        "ledger_totals", "UPDATE ledger_totals SET credit_minor = credit_minor + 1 WHERE span = 2"
    ),
    "sales_are_of_movements": Edit(
        "service_sales", "UPDATE service_sales SET refunds = refunds + 1 WHERE refunds > 0"
    ),
    "movement_is_covered": Edit("covered_movements", "DELETE FROM covered_movements"),
    "checkpoints_follow_each_other": Edit(
        "checkpoints", "UPDATE checkpoints SET origin = 'https://other.example'"
    ),
    "covered_movement_is_unchanged": Edit(
        "movements", "UPDATE movements SET description = 'Other words'"
    ),
    "occurrence_has_movement": Edit(
        "schedules schedule_occurrences",
        "WITH made AS (INSERT INTO schedules (schedule_id, principal, account_id, kind, request,"
        " description, starts_at, rule, zone, status, version, created_at, updated_at, attempts)"
        " VALUES (gen_random_uuid(), 'service:x', gen_random_uuid(), 4, '', '', now(), '', '',"
        " 4, 1, now(), now(), 0) RETURNING schedule_id) INSERT INTO schedule_occurrences"
        " SELECT schedule_id, now(), 1, '', gen_random_uuid(), 1, now() FROM made",
    ),
    "sub_accounts_are_counted": Edit("accounts", "UPDATE accounts SET sub_account_count = 2"),
    "sub_account_is_sum_of_receipts": Edit(
        "sub_accounts", "INSERT INTO sub_accounts SELECT account_id, 1, 5, 1 FROM accounts LIMIT 1"
    ),
    "receipt_is_told": Edit(
        "outbox",
        "INSERT INTO outbox (movement_ids, from_sequences, to_sequences, waiting)"
        " VALUES (ARRAY[gen_random_uuid()], ARRAY[NULL::bigint], ARRAY[0::bigint], 1)",
    ),
}
