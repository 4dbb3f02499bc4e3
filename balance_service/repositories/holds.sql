-- get --
-- A hold of an account.
SELECT
    -- begin columns --
    h.account_id,
    h.hold_id,
    h.left_minor,
    h.captured_minor,
    h.status,
    h.expires_at,
    h.created_at
    -- end columns --
FROM holds AS h
WHERE h.account_id = %(account_id)s AND h.hold_id = %(hold_id)s;

-- page --
-- A part of some accounts' holds, newest first.
SELECT page.*
FROM unnest(%(account_ids)s::uuid[]) AS a (account_id)
CROSS JOIN LATERAL (
    SELECT
        -- include columns --
    FROM holds AS h
    WHERE
        h.account_id = a.account_id
        AND (%(status)s::smallint IS NULL OR h.status = %(status)s)
        AND (
            %(after_time)s::timestamptz IS NULL
            OR (h.created_at, h.hold_id) < (%(after_time)s, %(after_id)s::uuid)
        )
    ORDER BY h.created_at DESC, h.hold_id DESC
    LIMIT %(reach)s
) AS page
ORDER BY page.created_at DESC, page.hold_id DESC
LIMIT %(limit)s OFFSET %(skip)s;

-- count --
-- How many holds a list has, on all its pages.
SELECT count(*)
FROM holds AS h
WHERE
    h.account_id = ANY(%(account_ids)s)
    AND (%(status)s::smallint IS NULL OR h.status = %(status)s);

-- expired --
-- Open holds whose time is over.
SELECT h.hold_id
FROM holds AS h
WHERE h.status = 1 AND h.expires_at <= clock_timestamp()
ORDER BY h.expires_at
LIMIT %(limit)s;
