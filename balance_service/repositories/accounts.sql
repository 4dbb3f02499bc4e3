-- claim_owner --
-- Decides that a user has one account in a currency; the row of whoever was first stays.
INSERT INTO account_owners (owner_id, currency, account_id)
VALUES (%(owner_id)s, %(currency)s, %(account_id)s)
ON CONFLICT DO NOTHING;

-- claim_number --
-- Decides that a public number is given once.
INSERT INTO account_numbers (number, account_id)
VALUES (%(number)s, %(account_id)s)
ON CONFLICT DO NOTHING;

-- insert --
-- A new account, empty. Nothing on it is dated before that, so the clock is that of movements.
INSERT INTO accounts (account_id, owner_id, number, currency, created_at, changed_at)
VALUES (
    %(account_id)s,
    %(owner_id)s,
    %(number)s,
    %(currency)s,
    statement_timestamp(),
    statement_timestamp()
);

-- find_ids --
-- The accounts that users have in currencies. Each row is looked up by its key, as in journal.sql.
SELECT
    wanted.owner_id,
    wanted.currency,
    owned.account_id
FROM unnest(%(owner_ids)s::uuid[], %(currencies)s::text[]) AS wanted (owner_id, currency)
CROSS JOIN LATERAL (
    SELECT o.account_id
    FROM account_owners AS o
    WHERE o.owner_id = wanted.owner_id AND o.currency = wanted.currency
    LIMIT 1
) AS owned;

-- ids_of_owner --
-- All accounts of a user, oldest first.
SELECT account_id
FROM account_owners
WHERE owner_id = %(owner_id)s
ORDER BY account_id;

-- page --
-- A part of a user's accounts, oldest first.
SELECT account_id
FROM account_owners
WHERE
    owner_id = %(owner_id)s
    AND (%(after)s::uuid IS NULL OR account_id > %(after)s)
ORDER BY account_id
LIMIT %(limit)s OFFSET %(skip)s;

-- count --
-- How many accounts a list has, on all its pages.
SELECT count(*)
FROM account_owners
WHERE owner_id = %(owner_id)s;

-- ids_of_numbers --
-- The accounts with public numbers.
SELECT
    number,
    account_id
FROM account_numbers
WHERE number = ANY(%(numbers)s::bigint[]);

-- find_by_number --
-- The account with a public number. One query, so that it takes as long whether there is one.
SELECT
    -- include profile --
FROM accounts
WHERE account_id = (
    SELECT n.account_id
    FROM account_numbers AS n
    WHERE n.number = %(number)s
);

-- find_by_owner --
-- The account of a user in a currency.
SELECT
    -- include profile --
FROM accounts
WHERE account_id = (
    SELECT o.account_id
    FROM account_owners AS o
    WHERE o.owner_id = %(owner_id)s AND o.currency = %(currency)s
);

-- find_by_external_id --
-- The account that a source calls so.
SELECT
    -- include profile --
FROM accounts
WHERE account_id = (
    SELECT e.subject_id
    FROM external_ids AS e
    WHERE e.external_id = %(external_id)s AND e.source = %(source)s AND e.kind = %(kind)s
);

-- get --
-- Accounts by id, oldest first.
SELECT
    -- begin profile --
    number,
    created_at,
    -- begin account --
    account_id,
    owner_id,
    currency,
    balance_minor,
    held_minor,
    limit_minor,
    status,
    sequence,
    changed_at,
    spent_minor,
    debit_limit_minor,
    daily_limit_minor,
    sub_account_count
    -- end account --
    ,
    CASE
        WHEN sub_account_count > 0
            THEN (
                SELECT sum(s.received_minor)::bigint
                FROM sub_accounts AS s
                WHERE s.account_id = accounts.account_id
            )
        ELSE 0
    END AS waiting_minor,
    CASE
        WHEN sub_account_count > 0
            THEN (
                SELECT sum(s.receipts)::bigint
                FROM sub_accounts AS s
                WHERE s.account_id = accounts.account_id
            )
        ELSE 0
    END AS waiting
    -- end profile --
FROM accounts
WHERE account_id = ANY(%(account_ids)s)
ORDER BY account_id;

-- search --
-- A part of everybody's accounts, oldest first.
SELECT
    -- include profile --
FROM (
    SELECT *
    FROM accounts
    WHERE account_id > %(after)s
    ORDER BY account_id
    LIMIT %(reach)s
) AS accounts
WHERE
    account_id > %(after)s
    -- begin filter --
    AND (%(currency)s = '' OR currency = %(currency)s)
    AND (%(status)s::smallint IS NULL OR status = %(status)s)
    -- end filter --
ORDER BY account_id
LIMIT %(limit)s OFFSET %(skip)s;

-- end_of_reach --
-- The last account that a page looked at, if others may follow.
SELECT account_id
FROM accounts
WHERE account_id > %(after)s
ORDER BY account_id
LIMIT 1 OFFSET %(reach)s - 1;

-- count_search --
-- How many accounts of everybody a list has, on all its pages.
SELECT count(*)
FROM (
    SELECT account_id
    FROM accounts
    WHERE
        account_id > '00000000-0000-0000-0000-000000000000'
        -- include filter --
) AS kept;

-- lock --
-- One account, for an operator's change.
SELECT
    -- include profile --
FROM accounts
WHERE account_id = %(account_id)s
FOR NO KEY UPDATE;

-- lock_for_commit --
-- Accounts by id, for a commit. Locked in the order of ids, so that commits cannot deadlock.
SELECT
    -- include account --
FROM accounts
WHERE account_id = ANY(%(account_ids)s::uuid[])
ORDER BY account_id
FOR NO KEY UPDATE;

-- read_for_commit --
-- The same without a lock, for what does not change while the commit holds others.
SELECT
    -- include account --
FROM accounts
WHERE account_id = ANY(%(account_ids)s::uuid[]);

-- lock_one_for_commit --
-- One account, for a commit on a cluster.
SELECT
    -- include account --
FROM accounts
WHERE account_id = %(account_id)s
FOR NO KEY UPDATE;

-- lock_if_free --
-- The time, and those accounts that no commit has locked then; and of which accounts there are
-- sub-accounts, and those of which none is locked and nothing waits on.
SELECT
    clock_timestamp() AS now,
    ARRAY(
        SELECT account_id
        FROM accounts
        WHERE account_id = ANY(%(account_ids)s)
        FOR SHARE SKIP LOCKED
    ) AS free_ids,
    ARRAY(
        SELECT s.account_id
        FROM sub_accounts AS s
        WHERE s.account_id = ANY(%(account_ids)s)
    ) AS with_sub_accounts,
    ARRAY(
        SELECT s.account_id
        FROM sub_accounts AS s
        WHERE s.account_id = ANY(%(account_ids)s) AND s.receipts = 0
        FOR SHARE SKIP LOCKED
    ) AS free_sub_accounts;

-- set_rules --
-- What an operator changes: whether and how far money may move.
UPDATE accounts
SET
    status = %(status)s,
    limit_minor = %(limit_minor)s,
    debit_limit_minor = %(debit_limit_minor)s,
    daily_limit_minor = %(daily_limit_minor)s
WHERE account_id = %(account_id)s;
