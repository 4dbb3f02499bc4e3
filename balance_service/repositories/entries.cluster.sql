-- by_date_desc --
-- Each account's part is read on its own shard, and then the movements on theirs. One that cannot
-- be seen yet leaves its line without a movement.
WITH e AS MATERIALIZED ( -- noqa: PRS
    SELECT page.*
    FROM accounts AS a
    CROSS JOIN LATERAL (
        SELECT *
        FROM entries AS e
        WHERE
            e.account_id = a.account_id
            -- begin part --
            AND e.sequence
            BETWEEN (%(lows)s::bigint[])[array_position(%(account_ids)s::uuid[], a.account_id)]
            AND (%(highs)s::bigint[])[array_position(%(account_ids)s::uuid[], a.account_id)]
            -- end part --
            -- include filter --
        ORDER BY e.sequence DESC
        LIMIT %(reach)s
    ) AS page
    WHERE a.account_id = ANY(%(account_ids)s::uuid[])
    ORDER BY page.created_at DESC, page.account_id DESC, page.sequence DESC
    LIMIT %(limit)s OFFSET %(skip)s
),

-- begin told --
m AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE movement_id IN (SELECT e.movement_id FROM e)
)

SELECT
    -- include columns --
FROM e
LEFT JOIN m ON e.movement_id = m.movement_id -- noqa: ST11
-- end told --
ORDER BY e.created_at DESC, e.account_id DESC, e.sequence DESC;

-- by_date --
-- The same, oldest first.
WITH e AS MATERIALIZED ( -- noqa: PRS
    SELECT page.*
    FROM accounts AS a
    CROSS JOIN LATERAL (
        SELECT *
        FROM entries AS e
        WHERE
            e.account_id = a.account_id
            -- include part --
            -- include filter --
        ORDER BY e.sequence
        LIMIT %(reach)s
    ) AS page
    WHERE a.account_id = ANY(%(account_ids)s::uuid[])
    ORDER BY page.created_at, page.account_id, page.sequence
    LIMIT %(limit)s OFFSET %(skip)s
),

-- include told --
ORDER BY e.created_at, e.account_id, e.sequence;

-- by_amount --
-- Entries by size, in the same way.
WITH e AS MATERIALIZED ( -- noqa: PRS
    SELECT e.*
    FROM entries AS e
    INNER JOIN unnest(%(account_ids)s::uuid[], %(highs)s::bigint[]) AS a (account_id, high)
        ON
            e.account_id = a.account_id
            -- include filter --
            AND e.sequence <= a.high
    WHERE
        %(after_amount)s::bigint IS NULL
        OR (abs(e.amount_minor) * %(order)s::smallint, e.account_id, e.sequence)
        > (%(after_amount)s * %(order)s, %(after_account)s::uuid, %(after_sequence)s::bigint)
    ORDER BY abs(e.amount_minor) * %(order)s::smallint, e.account_id, e.sequence
    LIMIT %(limit)s OFFSET %(skip)s
),

-- include told --
ORDER BY abs(e.amount_minor) * %(order)s::smallint, e.account_id, e.sequence;

-- parts --
-- Parts of statements. Their lengths are bounded by their first and last number, for a statement has
-- no gaps.
WITH e AS MATERIALIZED ( -- noqa: PRS
    SELECT
        e.*,
        a.place
    FROM entries AS e
    INNER JOIN
        unnest(
            %(account_ids)s::uuid[], %(lows)s::bigint[], %(highs)s::bigint[], %(lengths)s::bigint[]
        )
        WITH ORDINALITY AS a (account_id, low, high, length, place)
        ON
            e.account_id = a.account_id
            AND e.sequence BETWEEN a.low AND least(a.high, a.low + a.length - 1)
    WHERE e.account_id = ANY(%(account_ids)s)
),

m AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE movement_id IN (SELECT e.movement_id FROM e)
)

SELECT
    e.place,
    -- include columns --
FROM e
LEFT JOIN m ON e.movement_id = m.movement_id
ORDER BY e.place, e.sequence;
