-- by_date_desc --
-- Statements of some accounts, newest first; each account goes on at its own sequence. The
-- movements are looked up one by one: of any other join, a plan that does not know the limit might
-- think that it is cheaper.
SELECT
    -- include columns --
FROM (
    SELECT page.*
    FROM unnest(%(account_ids)s::uuid[], %(lows)s::bigint[], %(highs)s::bigint[])
        AS a (account_id, low, high)
    CROSS JOIN LATERAL (
        SELECT *
        FROM entries AS e
        WHERE
            e.account_id = a.account_id
            AND e.sequence BETWEEN a.low AND a.high
            -- begin filter --
            AND (%(kind)s::smallint IS NULL OR e.kind = %(kind)s)
            AND (%(direction)s::smallint IS NULL OR sign(e.amount_minor) = %(direction)s)
            AND (%(counterparty_id)s::uuid IS NULL OR e.counterparty_id = %(counterparty_id)s)
            AND (%(start_time)s::timestamptz IS NULL OR e.created_at >= %(start_time)s)
            AND (%(end_time)s::timestamptz IS NULL OR e.created_at < %(end_time)s)
            AND (%(amount_min)s::bigint IS NULL OR abs(e.amount_minor) >= %(amount_min)s)
            AND (%(amount_max)s::bigint IS NULL OR abs(e.amount_minor) <= %(amount_max)s)
            AND (
                %(start_effective)s::timestamptz IS NULL
                OR coalesce(e.effective_at, e.created_at) >= %(start_effective)s
            )
            AND (
                %(end_effective)s::timestamptz IS NULL
                OR coalesce(e.effective_at, e.created_at) < %(end_effective)s
            )
            -- end filter --
        ORDER BY e.sequence DESC
        LIMIT %(reach)s
    ) AS page
    ORDER BY page.created_at DESC, page.account_id DESC, page.sequence DESC
    LIMIT %(limit)s OFFSET %(skip)s
) AS e
-- include movement --
ORDER BY e.created_at DESC, e.account_id DESC, e.sequence DESC;

-- by_date --
-- The same, oldest first.
SELECT
    -- include columns --
FROM (
    SELECT page.*
    FROM unnest(%(account_ids)s::uuid[], %(lows)s::bigint[], %(highs)s::bigint[])
        AS a (account_id, low, high)
    CROSS JOIN LATERAL (
        SELECT *
        FROM entries AS e
        WHERE
            e.account_id = a.account_id
            AND e.sequence BETWEEN a.low AND a.high
            -- include filter --
        ORDER BY e.sequence
        LIMIT %(reach)s
    ) AS page
    ORDER BY page.created_at, page.account_id, page.sequence
    LIMIT %(limit)s OFFSET %(skip)s
) AS e
-- include movement --
ORDER BY e.created_at, e.account_id, e.sequence;

-- by_amount --
-- Entries of some accounts by size, from the smallest (direction of order 1) or the largest (-1).
SELECT
    -- include columns --
FROM (
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
) AS e
-- include movement --
ORDER BY abs(e.amount_minor) * %(order)s::smallint, e.account_id, e.sequence;

-- parts --
-- Parts of statements, each whole, for many callers at once. A statement has no gaps, so a part has
-- a known length.
SELECT
    a.place,
    -- begin columns --
    e.account_id,
    e.sequence,
    e.movement_id,
    e.kind,
    e.amount_minor,
    e.balance_after_minor,
    e.counterparty_id,
    e.created_at,
    m.from_account_id,
    m.to_account_id,
    m.amount_minor AS moved_minor,
    m.currency,
    m.balance_after_minor AS left_minor,
    m.principal,
    m.request_id,
    m.description,
    m.metadata,
    m.source,
    m.reference,
    m.service_id,
    m.price_minor,
    m.price_currency,
    m.rate,
    m.rate_source,
    m.rate_as_of,
    m.original_id,
    m.whole,
    m.final,
    m.expires_at,
    m.effective_at,
    m.quote_id,
    m.quantity
    -- end columns --
FROM unnest(%(account_ids)s::uuid[], %(lows)s::bigint[], %(highs)s::bigint[], %(lengths)s::bigint[])
    WITH ORDINALITY AS a (account_id, low, high, length, place)
CROSS JOIN LATERAL (
    SELECT *
    FROM entries AS e
    WHERE e.account_id = a.account_id AND e.sequence BETWEEN a.low AND a.high
    ORDER BY e.sequence
    LIMIT a.length
) AS e
-- begin movement --
CROSS JOIN LATERAL (
    SELECT *
    FROM movements AS m
    WHERE m.movement_id = e.movement_id
    LIMIT 1 -- on one server --
) AS m
-- end movement --
ORDER BY a.place, e.sequence;

-- count --
-- How many entries a list has, on all its pages.
SELECT count(*)
FROM entries AS e
INNER JOIN unnest(%(account_ids)s::uuid[], %(highs)s::bigint[]) AS a (account_id, high)
    ON
        e.account_id = a.account_id
        -- include filter --
        AND e.sequence <= a.high;

-- balance_at --
-- The balance an account had right after a moment, and whether it is not known, because the entry
-- that left it is archived. Times never go back along a statement.
SELECT
    coalesce(e.balance_after_minor, forward.balance_minor, 0) AS balance_minor,
    e.balance_after_minor IS NULL AND coalesce(forward.created_at > %(as_of)s, FALSE) AS archived
FROM (VALUES (%(account_id)s::uuid)) AS a (account_id)
LEFT JOIN brought_forward AS forward ON a.account_id = forward.account_id
LEFT JOIN LATERAL (
    SELECT entries.balance_after_minor
    FROM entries
    WHERE entries.account_id = a.account_id AND entries.created_at <= %(as_of)s
    ORDER BY entries.sequence DESC
    LIMIT 1
) AS e ON TRUE;
