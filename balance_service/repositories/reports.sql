-- clock --
-- The time.
SELECT clock_timestamp() AS now;

-- under_way --
-- The transactions of this database that are under way and have a number: each holds the lock of
-- its own, until what it did can be seen.
SELECT l.transactionid::text AS number
FROM pg_locks AS l
INNER JOIN pg_stat_activity AS a ON l.pid = a.pid
WHERE
    l.locktype = 'transactionid'
    AND l.mode = 'ExclusiveLock'
    AND l.granted
    AND a.datname = current_database();

-- balances --
-- What a part of all accounts had right after a moment, oldest first. An account that has not
-- changed since has it still; of any other, the entry is found as in statements.sql. What one had
-- before its last archived entry is not known.
SELECT
    a.account_id,
    a.number,
    a.owner_id,
    a.currency,
    CASE
        WHEN a.changed_at <= %(as_of)s THEN a.balance_minor ELSE coalesce(past.balance_minor, 0)
    END AS balance_minor,
    CASE WHEN a.changed_at <= %(as_of)s THEN a.sequence ELSE coalesce(past.sequence, 0) END
        AS sequence
FROM (
    SELECT *
    FROM (
        SELECT *
        FROM accounts
        WHERE account_id > %(after)s
        ORDER BY account_id
        LIMIT %(reach)s
    ) AS looked_at
    WHERE created_at <= %(as_of)s AND (%(currency)s = '' OR currency = %(currency)s)
    ORDER BY account_id
    LIMIT %(limit)s
) AS a
LEFT JOIN LATERAL (
    WITH RECURSIVE halves (low, high) AS (
        SELECT
            coalesce(max(b.sequence), 0) AS low,
            a.sequence AS high
        FROM brought_forward AS b
        WHERE b.account_id = a.account_id
        UNION ALL
        SELECT
            CASE WHEN middle.created_at <= %(as_of)s THEN middle.sequence ELSE h.low END AS low,
            CASE
                WHEN middle.created_at <= %(as_of)s THEN h.high ELSE middle.sequence - 1
            END AS high
        FROM halves AS h
        CROSS JOIN LATERAL (
            SELECT
                e.sequence,
                e.created_at
            FROM entries AS e
            WHERE e.account_id = a.account_id AND e.sequence = h.high - (h.high - h.low) / 2
            LIMIT 1
        ) AS middle
        WHERE h.low < h.high
    )

    SELECT
        h.low AS sequence,
        coalesce(e.balance_after_minor, forward.balance_minor) AS balance_minor
    FROM halves AS h
    LEFT JOIN entries AS e ON a.account_id = e.account_id AND h.low = e.sequence
    LEFT JOIN brought_forward AS forward
        ON a.account_id = forward.account_id AND h.low = forward.sequence
    WHERE h.low = h.high
) AS past ON a.changed_at > %(as_of)s
ORDER BY a.account_id;

-- movements --
-- Movements whose events have a part of the log, in its order: their numbers there and ids. Kinds
-- 10 to 12 are about holds, and move nothing.
SELECT
    e.sequence,
    e.movement_id
FROM (
    SELECT
        item.movement_id,
        r.last_sequence - r.size + item.place AS sequence
    FROM (
        SELECT *
        FROM events
        WHERE last_sequence > %(after)s AND last_sequence < %(until)s
        UNION ALL
        (
            SELECT *
            FROM events
            WHERE last_sequence >= %(until)s
            ORDER BY last_sequence
            LIMIT 1
        )
    ) AS r
    CROSS JOIN LATERAL unnest(r.movement_ids) WITH ORDINALITY AS item (movement_id, place)
    WHERE
        r.last_sequence - r.size + item.place > %(after)s
        AND r.last_sequence - r.size + item.place <= %(until)s
) AS e
CROSS JOIN LATERAL (
    SELECT
        movements.kind,
        movements.currency,
        movements.amount_minor,
        movements.created_at
    FROM movements
    WHERE movements.movement_id = e.movement_id
    LIMIT 1 -- on one server --
) AS m
WHERE
    m.created_at >= %(start_time)s
    AND (%(end_time)s::timestamptz IS NULL OR m.created_at < %(end_time)s)
    AND m.kind NOT IN (10, 11, 12)
    AND (%(kind)s::smallint IS NULL OR m.kind = %(kind)s)
    AND (%(currency)s = '' OR m.currency = %(currency)s)
    AND (%(amount_min)s::bigint IS NULL OR m.amount_minor >= %(amount_min)s)
    AND (%(amount_max)s::bigint IS NULL OR m.amount_minor <= %(amount_max)s)
ORDER BY e.sequence
LIMIT %(limit)s;

-- oldest --
-- From when on all movements have events that are kept.
SELECT numbered_at
FROM events
ORDER BY last_sequence
LIMIT 1;

-- passes --
-- Whether a part of the log has an event that was written at a moment or later.
SELECT count(*) > 0 AS passes
FROM (
    SELECT 1 AS found
    FROM events
    WHERE last_sequence > %(after)s AND last_sequence <= %(until)s AND created_at >= %(moment)s
    LIMIT 1
) AS found;
