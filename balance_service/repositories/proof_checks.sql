-- movement_is_covered --
-- Movements that no checkpoint covers and none is about to, and what is said to be covered twice,
-- by another checkpoint, or is not there.
WITH waiting AS (
    SELECT unnest(movement_ids) AS movement_id
    FROM outbox
    UNION ALL
    SELECT told.movement_id
    FROM events AS e
    CROSS JOIN LATERAL unnest(e.movement_ids) WITH ORDINALITY AS told (movement_id, place)
    WHERE e.last_sequence - e.size + told.place > (SELECT max(c.last_event) FROM checkpoints AS c)
),

listed AS (
    SELECT
        number,
        unnest(movement_ids) AS movement_id
    FROM checkpoints
)

SELECT
    coalesce(m.movement_id, c.movement_id, l.movement_id)::text AS subject,
    coalesce('covered by ' || c.number, 'not covered') AS stored,
    CASE
        WHEN m.movement_id IS NULL THEN 'in the journal'
        ELSE coalesce('covered by ' || l.number, 'covered')
    END AS computed
FROM movements AS m
FULL JOIN covered_movements AS c ON m.movement_id = c.movement_id
FULL JOIN listed AS l ON coalesce(m.movement_id, c.movement_id) = l.movement_id
WHERE
    m.movement_id IS NULL
    OR c.number IS DISTINCT FROM l.number
    OR (
        c.number IS NULL
        AND NOT EXISTS (
            SELECT FROM waiting AS w
            WHERE w.movement_id = m.movement_id
        )
        AND NOT EXISTS (
            SELECT FROM uncovered_history AS h
            WHERE NOT h.done AND m.created_at <= h.until
        )
    )
LIMIT %(limit)s;

-- public_keys --
-- Every key that ever signed, also those out of use.
SELECT
    key_id,
    public_key
FROM signing_keys;
