-- page --
-- Each account's part is read on its own shard.
SELECT page.*
FROM accounts AS a
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
WHERE a.account_id = ANY(%(account_ids)s::uuid[])
ORDER BY page.created_at DESC, page.hold_id DESC
LIMIT %(limit)s OFFSET %(skip)s;
