-- by_date_desc --
-- Statements of some accounts, newest first; each account goes on at its own sequence.
SELECT e.*
FROM unnest(%(account_ids)s::uuid[], %(lows)s::bigint[], %(highs)s::bigint[])
    AS a (account_id, low, high)
CROSS JOIN LATERAL (
    SELECT
        account_id,
        sequence,
        movement_id,
        kind,
        amount_minor,
        balance_after_minor,
        counterparty_id,
        created_at
    FROM entries
    WHERE
        account_id = a.account_id
        AND sequence BETWEEN a.low AND a.high
        AND (%(kind)s::smallint IS NULL OR kind = %(kind)s)
        AND (%(direction)s::smallint IS NULL OR sign(amount_minor) = %(direction)s)
        AND (%(counterparty_id)s::uuid IS NULL OR counterparty_id = %(counterparty_id)s)
        AND (%(start_time)s::timestamptz IS NULL OR created_at >= %(start_time)s)
        AND (%(end_time)s::timestamptz IS NULL OR created_at < %(end_time)s)
        AND (%(amount_min)s::bigint IS NULL OR abs(amount_minor) >= %(amount_min)s)
        AND (%(amount_max)s::bigint IS NULL OR abs(amount_minor) <= %(amount_max)s)
    ORDER BY sequence DESC
    LIMIT %(reach)s
) AS e
ORDER BY e.created_at DESC, e.account_id DESC, e.sequence DESC
LIMIT %(limit)s OFFSET %(skip)s

-- by_date --
-- The same, oldest first.
SELECT e.*
FROM unnest(%(account_ids)s::uuid[], %(lows)s::bigint[], %(highs)s::bigint[])
    AS a (account_id, low, high)
CROSS JOIN LATERAL (
    SELECT
        account_id,
        sequence,
        movement_id,
        kind,
        amount_minor,
        balance_after_minor,
        counterparty_id,
        created_at
    FROM entries
    WHERE
        account_id = a.account_id
        AND sequence BETWEEN a.low AND a.high
        AND (%(kind)s::smallint IS NULL OR kind = %(kind)s)
        AND (%(direction)s::smallint IS NULL OR sign(amount_minor) = %(direction)s)
        AND (%(counterparty_id)s::uuid IS NULL OR counterparty_id = %(counterparty_id)s)
        AND (%(start_time)s::timestamptz IS NULL OR created_at >= %(start_time)s)
        AND (%(end_time)s::timestamptz IS NULL OR created_at < %(end_time)s)
        AND (%(amount_min)s::bigint IS NULL OR abs(amount_minor) >= %(amount_min)s)
        AND (%(amount_max)s::bigint IS NULL OR abs(amount_minor) <= %(amount_max)s)
    ORDER BY sequence
    LIMIT %(reach)s
) AS e
ORDER BY e.created_at, e.account_id, e.sequence
LIMIT %(limit)s OFFSET %(skip)s

-- by_amount --
-- Entries of some accounts by size, from the smallest (direction of order 1) or the largest (-1).
SELECT
    e.account_id,
    e.sequence,
    e.movement_id,
    e.kind,
    e.amount_minor,
    e.balance_after_minor,
    e.counterparty_id,
    e.created_at
FROM entries AS e
INNER JOIN unnest(%(account_ids)s::uuid[], %(highs)s::bigint[]) AS a (account_id, high)
    ON e.account_id = a.account_id AND e.sequence <= a.high
WHERE
    (%(kind)s::smallint IS NULL OR e.kind = %(kind)s)
    AND (%(direction)s::smallint IS NULL OR sign(e.amount_minor) = %(direction)s)
    AND (%(counterparty_id)s::uuid IS NULL OR e.counterparty_id = %(counterparty_id)s)
    AND (%(start_time)s::timestamptz IS NULL OR e.created_at >= %(start_time)s)
    AND (%(end_time)s::timestamptz IS NULL OR e.created_at < %(end_time)s)
    AND (%(amount_min)s::bigint IS NULL OR abs(e.amount_minor) >= %(amount_min)s)
    AND (%(amount_max)s::bigint IS NULL OR abs(e.amount_minor) <= %(amount_max)s)
    AND (
        %(after_amount)s::bigint IS NULL
        OR (abs(e.amount_minor) * %(order)s::smallint, e.account_id, e.sequence)
        > (%(after_amount)s * %(order)s, %(after_account)s::uuid, %(after_sequence)s::bigint)
    )
ORDER BY abs(e.amount_minor) * %(order)s::smallint, e.account_id, e.sequence
LIMIT %(limit)s OFFSET %(skip)s

-- count --
-- How many entries a list has, on all its pages.
SELECT count(*)
FROM entries AS e
INNER JOIN unnest(%(account_ids)s::uuid[], %(highs)s::bigint[]) AS a (account_id, high)
    ON e.account_id = a.account_id AND e.sequence <= a.high
WHERE
    (%(kind)s::smallint IS NULL OR e.kind = %(kind)s)
    AND (%(direction)s::smallint IS NULL OR sign(e.amount_minor) = %(direction)s)
    AND (%(counterparty_id)s::uuid IS NULL OR e.counterparty_id = %(counterparty_id)s)
    AND (%(start_time)s::timestamptz IS NULL OR e.created_at >= %(start_time)s)
    AND (%(end_time)s::timestamptz IS NULL OR e.created_at < %(end_time)s)
    AND (%(amount_min)s::bigint IS NULL OR abs(e.amount_minor) >= %(amount_min)s)
    AND (%(amount_max)s::bigint IS NULL OR abs(e.amount_minor) <= %(amount_max)s)

-- balance_at --
-- The balance an account had right after a moment. Times never go back along a statement.
SELECT balance_after_minor
FROM entries
WHERE account_id = %(account_id)s AND created_at <= %(as_of)s
ORDER BY sequence DESC
LIMIT 1
