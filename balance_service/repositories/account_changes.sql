-- read_clock --
-- The time by Postgres's clock, once the account is locked.
SELECT clock_timestamp();

-- insert --
-- A change that an operator made, in the transaction that makes it.
INSERT INTO account_changes (
    -- begin columns --
    change_id,
    account_id,
    kind,
    status_before,
    limit_before_minor,
    debit_limit_before_minor,
    daily_limit_before_minor,
    status_after,
    limit_after_minor,
    debit_limit_after_minor,
    daily_limit_after_minor,
    reason,
    principal,
    request_id,
    created_at
    -- end columns --
)
VALUES (
    %(change_id)s,
    %(account_id)s,
    %(kind)s,
    %(status_before)s,
    %(limit_before_minor)s,
    %(debit_limit_before_minor)s,
    %(daily_limit_before_minor)s,
    %(status_after)s,
    %(limit_after_minor)s,
    %(debit_limit_after_minor)s,
    %(daily_limit_after_minor)s,
    %(reason)s,
    %(principal)s,
    %(request_id)s,
    %(created_at)s
);

-- page --
-- A part of an account's changes, newest first.
SELECT
    -- include columns --
FROM account_changes
WHERE
    account_id = %(account_id)s
    AND (%(before)s::uuid IS NULL OR change_id < %(before)s)
ORDER BY change_id DESC
LIMIT %(limit)s OFFSET %(skip)s;

-- count --
-- How many changes a list has, on all its pages.
SELECT count(*)
FROM account_changes
WHERE account_id = %(account_id)s;

-- last_of_kind --
-- An account's last change of a kind.
SELECT change_id
FROM account_changes
WHERE account_id = %(account_id)s AND kind = %(kind)s
ORDER BY change_id DESC
LIMIT 1;
