-- lock --
-- All sub-accounts of some accounts, and one of each of others, in the order of their key.
SELECT
    s.account_id,
    s.place,
    s.received_minor,
    s.receipts
FROM sub_accounts AS s
WHERE
    s.account_id = ANY(%(whole)s::uuid[])
    OR (s.account_id, s.place) IN (
        SELECT
            wanted.account_id,
            wanted.place
        FROM unnest(%(account_ids)s::uuid[], %(places)s::smallint[]) AS wanted (account_id, place)
    )
ORDER BY s.account_id, s.place
FOR NO KEY UPDATE OF s;

-- lock_told --
-- What the outbox says of the receipts of some accounts, before `number` completes it: rows that
-- also have receipts of other accounts are completed one after the other.
SELECT o.place
FROM outbox AS o
INNER JOIN waiting_receipts AS w ON o.place = w.place AND o.transaction_id = w.transaction_id
WHERE w.account_id = ANY(%(account_ids)s::uuid[])
ORDER BY o.place, o.transaction_id
FOR UPDATE OF o;

-- number --
-- Numbers what waits on the sub-accounts of some accounts, all of which are locked, in the order in
-- which the log of events has it, and adds it to the accounts.
WITH taken AS (
    DELETE FROM waiting_receipts AS w
    WHERE w.account_id = ANY(%(account_ids)s::uuid[])
    RETURNING
        w.*,
        w.place <= (SELECT pg_current_wal_insert_lsn()) AS written_here
),

numbered AS (
    SELECT
        t.account_id,
        t.place,
        t.transaction_id,
        t.created_at,
        r.ordinal,
        r.movement_id,
        r.kind,
        r.amount_minor,
        r.counterparty_id,
        r.effective_at,
        a.sequence + row_number() OVER statement AS sequence,
        (a.balance_minor + sum(r.amount_minor) OVER statement)::bigint AS balance_after_minor
    FROM taken AS t
    INNER JOIN accounts AS a ON t.account_id = a.account_id
    CROSS JOIN LATERAL unnest(
        t.ordinals,
        t.movement_ids,
        t.kinds,
        t.amounts_minor,
        t.counterparty_ids,
        t.effective_at
    ) AS r (ordinal, movement_id, kind, amount_minor, counterparty_id, effective_at)
    WINDOW statement AS (
        PARTITION BY t.account_id
        ORDER BY t.written_here, t.place, t.transaction_id, r.ordinal
        ROWS UNBOUNDED PRECEDING
    )
),

entered AS (
    INSERT INTO entries (
        account_id,
        sequence,
        movement_id,
        kind,
        amount_minor,
        balance_after_minor,
        counterparty_id,
        created_at,
        effective_at
    )
    SELECT
        n.account_id,
        n.sequence,
        n.movement_id,
        n.kind,
        n.amount_minor,
        n.balance_after_minor,
        n.counterparty_id,
        n.created_at,
        n.effective_at
    FROM numbered AS n
),

told AS (
    UPDATE outbox AS o
    SET to_sequences = completed.to_sequences, waiting = o.waiting - completed.accounts
    FROM (
        SELECT
            t.place,
            t.transaction_id,
            count(DISTINCT n.account_id) AS accounts,
            array_agg(coalesce(n.sequence, item.to_sequence) ORDER BY item.ordinal)
                AS to_sequences
        FROM (
            SELECT DISTINCT
                taken.place,
                taken.transaction_id
            FROM taken
        ) AS t
        INNER JOIN outbox AS b ON t.place = b.place AND t.transaction_id = b.transaction_id
        CROSS JOIN LATERAL unnest(b.to_sequences) WITH ORDINALITY AS item (to_sequence, ordinal)
        LEFT JOIN numbered AS n
            ON
                t.place = n.place
                AND t.transaction_id = n.transaction_id
                AND item.ordinal = n.ordinal
        GROUP BY t.place, t.transaction_id
    ) AS completed
    WHERE o.place = completed.place AND o.transaction_id = completed.transaction_id
),

emptied AS (
    UPDATE sub_accounts AS s
    SET received_minor = 0, receipts = 0
    WHERE s.account_id = ANY(%(account_ids)s::uuid[]) AND s.receipts > 0
)

UPDATE accounts AS a
SET
    balance_minor = n.balance_minor,
    sequence = n.sequence,
    changed_at = n.changed_at,
    spent_minor = CASE
        WHEN a.changed_at >= date_trunc('day', n.changed_at, %(zone)s) THEN a.spent_minor ELSE 0
    END
FROM (
    SELECT DISTINCT ON (numbered.account_id)
        numbered.account_id,
        numbered.balance_after_minor AS balance_minor,
        numbered.sequence,
        numbered.created_at AS changed_at
    FROM numbered
    ORDER BY numbered.account_id ASC, numbered.sequence DESC
) AS n
WHERE a.account_id = n.account_id;

-- take_turn --
-- The time, never before that of an earlier receipt or of the last entry of an account of the
-- commit, and the place of the commit in the log of events.
SELECT
    t.now,
    t.place::text AS place
FROM receipt_turn(%(account_ids)s::uuid[]) AS t;

-- receive --
-- What a commit adds to an account whose sub-account it has locked.
WITH waiting AS (
    INSERT INTO waiting_receipts (
        account_id,
        place,
        sub_account,
        created_at,
        ordinals,
        movement_ids,
        kinds,
        amounts_minor,
        counterparty_ids,
        effective_at
    )
    VALUES (
        %(account_id)s,
        %(place)s::pg_lsn,
        %(sub_account)s,
        %(created_at)s,
        %(ordinals)s::bigint[],
        %(movement_ids)s::uuid[],
        %(kinds)s::smallint[],
        %(amounts_minor)s::bigint[],
        %(counterparty_ids)s::uuid[],
        %(effective_at)s::timestamptz[]
    )
)

UPDATE sub_accounts AS s
SET
    received_minor = s.received_minor + %(received_minor)s,
    receipts = s.receipts + %(receipts)s
WHERE s.account_id = %(account_id)s AND s.place = %(sub_account)s;

-- find_waiting --
-- Accounts whose oldest waiting receipt has waited for a while.
SELECT w.account_id
FROM waiting_receipts AS w
GROUP BY w.account_id
HAVING min(w.created_at) <= clock_timestamp() - make_interval(secs => %(seconds)s)
ORDER BY w.account_id
LIMIT %(limit)s;

-- waits_before --
-- Whether a receipt that is dated before a moment waits for its number, on whichever account.
SELECT count(*) > 0 AS waits
FROM waiting_receipts AS w
WHERE w.created_at < %(moment)s;

-- waiting_since --
-- When the oldest receipt was dated that waits for its number, on whichever account.
SELECT min(w.created_at) AS waiting_since
FROM waiting_receipts AS w;

-- lock_if_free --
-- An account, locked unless another has it locked: that one numbers what waits.
SELECT a.account_id
FROM accounts AS a
WHERE a.account_id = %(account_id)s
FOR NO KEY UPDATE SKIP LOCKED;

-- set_count --
-- How many sub-accounts a locked account has.
UPDATE accounts AS a
SET sub_account_count = %(count)s
WHERE a.account_id = %(account_id)s;

-- add --
-- The sub-accounts that a locked account has no row for yet.
INSERT INTO sub_accounts (account_id, place)
SELECT
    a.account_id,
    places.place
FROM accounts AS a
CROSS JOIN generate_series(1, %(count)s) AS places (place)
WHERE a.account_id = %(account_id)s
ON CONFLICT (account_id, place) DO NOTHING;

-- remove --
-- The sub-accounts beyond so many, which are locked and empty.
DELETE FROM sub_accounts AS s
WHERE s.account_id = %(account_id)s AND s.place > %(count)s;
