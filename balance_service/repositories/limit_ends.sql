-- put --
-- An account's limits end; whatever end they had before is replaced.
INSERT INTO limit_ends (
    account_id, change_id, ends_at, debit_limit_minor, daily_limit_minor, principal
)
VALUES (
    %(account_id)s,
    %(change_id)s,
    %(ends_at)s,
    %(debit_limit_minor)s,
    %(daily_limit_minor)s,
    %(principal)s
)
ON CONFLICT (account_id) DO UPDATE SET
    change_id = excluded.change_id,
    ends_at = excluded.ends_at,
    debit_limit_minor = excluded.debit_limit_minor,
    daily_limit_minor = excluded.daily_limit_minor,
    principal = excluded.principal;

-- find --
-- The end of an account's limits.
SELECT
    account_id,
    change_id,
    ends_at,
    debit_limit_minor,
    daily_limit_minor,
    principal
FROM limit_ends
WHERE account_id = %(account_id)s;

-- due --
-- Accounts whose limits have ended, those first that have for longest.
SELECT account_id
FROM limit_ends
WHERE ends_at <= clock_timestamp()
ORDER BY ends_at
LIMIT %(limit)s;

-- take --
-- The end of a locked account's limits, if it has come; it is carried out once.
DELETE FROM limit_ends
WHERE account_id = %(account_id)s AND ends_at <= statement_timestamp()
RETURNING
    account_id,
    change_id,
    ends_at,
    debit_limit_minor,
    daily_limit_minor,
    principal;
