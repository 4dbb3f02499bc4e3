-- place_before --
-- The same by halves on the account's shard. Nothing is archived on a cluster.
WITH RECURSIVE halves (low, high) AS (
    SELECT
        0::bigint AS low,
        %(last)s::bigint AS high
    UNION ALL
    SELECT
        CASE WHEN middle.created_at < %(moment)s THEN middle.sequence ELSE h.low END AS low,
        CASE WHEN middle.created_at < %(moment)s THEN h.high ELSE middle.sequence - 1 END AS high
    FROM halves AS h
    CROSS JOIN LATERAL (
        SELECT
            e.sequence,
            e.created_at
        FROM entries AS e
        WHERE
            e.account_id = %(account_id)s
            AND e.sequence = h.high - (h.high - h.low) / 2
        LIMIT 1
    ) AS middle
    WHERE h.low < h.high
)

SELECT -- noqa: ST06
    h.low AS sequence,
    coalesce(e.balance_after_minor, 0) AS balance_minor,
    FALSE AS archived
FROM halves AS h
LEFT JOIN entries AS e ON h.low = e.sequence AND e.account_id = %(account_id)s
WHERE h.low = h.high;
