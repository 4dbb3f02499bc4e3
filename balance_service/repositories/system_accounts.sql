-- take_deltas --
-- Deltas to roll up; those another process is rolling up are left to it.
DELETE FROM system_deltas
WHERE (account_id, delta_id) IN (
    SELECT
account_id,
delta_id
    FROM system_deltas
    ORDER BY account_id, delta_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING account_id, amount_minor, entries;

-- add --
-- What was rolled up, added to the accounts' balances.
INSERT INTO system_accounts AS a (account_id, name, currency, balance_minor, entries)
SELECT *
FROM unnest(
    %(account_ids)s::uuid[],
    %(names)s::text[],
    %(currencies)s::text[],
    %(amounts)s::numeric[],
    %(entries)s::bigint[]
)
ON CONFLICT (account_id) DO UPDATE SET
    balance_minor = a.balance_minor + excluded.balance_minor,
    entries = a.entries + excluded.entries;
