-- last_of_part --
-- The last id of a part of the journal.
WITH part AS MATERIALIZED (
    SELECT movement_id
    FROM movements
    WHERE movement_id > %(after_id)s
    ORDER BY movement_id
    LIMIT %(limit)s
)

SELECT (
    SELECT part.movement_id
    FROM part
    ORDER BY part.movement_id DESC
    LIMIT 1
) AS last_id;

-- missing --
-- What of it no checkpoint covers; a movement and what covers it lie on one shard.
SELECT
    m.movement_id,
    m.from_account_id,
    m.to_account_id,
    m.created_at
FROM movements AS m
LEFT JOIN covered_movements AS c ON m.movement_id = c.movement_id
WHERE
    m.movement_id > %(after_id)s
    AND m.movement_id <= %(last_id)s
    AND m.created_at <= %(until)s
    AND c.movement_id IS NULL
ORDER BY m.movement_id;

-- lengths --
-- How many entries some accounts have; the service's own have none here.
SELECT
    account_id,
    sequence
FROM accounts
WHERE account_id = ANY(%(account_ids)s::uuid[]) AND sequence > 0;

-- dates --
-- When some entries were made, by their keys.
SELECT
    e.account_id,
    e.sequence,
    e.created_at
FROM entries AS e
INNER JOIN unnest(%(account_ids)s::uuid[], %(sequences)s::bigint[]) AS wanted (account_id, sequence)
    ON e.account_id = wanted.account_id AND e.sequence = wanted.sequence
WHERE e.account_id = ANY(%(account_ids)s::uuid[]);

-- near --
-- The entries of movements among those from a number on.
SELECT
    wanted.movement_id,
    e.account_id,
    e.sequence
FROM entries AS e
INNER JOIN
    unnest(%(movement_ids)s::uuid[], %(account_ids)s::uuid[], %(lows)s::bigint[])
        AS wanted (movement_id, account_id, low)
    ON
        e.account_id = wanted.account_id
        AND e.movement_id = wanted.movement_id
        AND e.sequence >= wanted.low
        AND e.sequence < wanted.low + %(reach)s
WHERE e.account_id = ANY(%(account_ids)s::uuid[]);
