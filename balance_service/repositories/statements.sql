-- place_before --
-- The last entry of an account that is dated before a moment. Times never go back along an
-- account's entries, so it is found by halving what is left: in as many steps as its number has
-- binary digits, each a look-up by key. If it is archived, the last one that is stands for it.
WITH RECURSIVE forward AS MATERIALIZED (
    SELECT
        b.sequence,
        b.balance_minor,
        b.created_at
    FROM (VALUES (%(account_id)s::uuid)) AS a (account_id)
    LEFT JOIN brought_forward AS b ON a.account_id = b.account_id
),

halves (low, high) AS (
    SELECT
        coalesce(f.sequence, 0) AS low,
        greatest(f.sequence, %(last)s::bigint) AS high
    FROM forward AS f
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

SELECT
    h.low AS sequence,
    coalesce(e.balance_after_minor, f.balance_minor, 0) AS balance_minor,
    coalesce(f.created_at >= %(moment)s, FALSE) AS archived
FROM halves AS h
CROSS JOIN forward AS f
LEFT JOIN entries AS e ON h.low = e.sequence AND e.account_id = %(account_id)s
WHERE h.low = h.high;

-- sums --
-- What a part of an account's entries did, by kind and by where they lie: before a period (-1), in
-- it (0) or after it (1). By booking date, the part is the period.
SELECT
    e.side,
    e.kind,
    count(*) AS entries,
    coalesce(sum(e.amount_minor) FILTER (WHERE e.amount_minor > 0), 0) AS in_minor,
    coalesce(-sum(e.amount_minor) FILTER (WHERE e.amount_minor < 0), 0) AS out_minor,
    min(e.sequence) AS first,
    max(e.sequence) AS last
FROM (
    SELECT
        kind,
        amount_minor,
        sequence,
        CASE
            WHEN NOT %(by_value_date)s THEN 0
            WHEN coalesce(effective_at, created_at) < %(start_time)s THEN -1
            WHEN coalesce(effective_at, created_at) < %(end_time)s THEN 0
            ELSE 1
        END AS side
    FROM entries
    WHERE account_id = %(account_id)s AND sequence > %(after)s AND sequence <= %(last)s
) AS e
GROUP BY e.side, e.kind
ORDER BY e.side, e.kind;
