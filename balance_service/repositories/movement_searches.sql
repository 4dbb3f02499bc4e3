-- by_reference --
-- Movements with a reference of an outside system, newest first; what versions before 0004 took,
-- too. Holds are left out: they move nothing.
SELECT m.movement_id
-- begin found --
FROM (
    SELECT c.movement_id
    FROM caller_references AS c
    WHERE c.reference = %(reference)s AND (%(source)s = '' OR c.source = %(source)s)
    UNION
    SELECT e.movement_id
    FROM external_references AS e
    WHERE e.reference = %(reference)s AND (%(source)s = '' OR e.source = %(source)s)
) AS r
CROSS JOIN LATERAL (
    SELECT
        movements.movement_id,
        movements.created_at
    FROM movements
    WHERE movements.movement_id = r.movement_id AND movements.kind NOT IN (10, 11, 12)
    LIMIT 1 -- on one server --
) AS m
-- end found --
WHERE (m.created_at, m.movement_id) < (%(after_time)s, %(after_id)s)
ORDER BY m.created_at DESC, m.movement_id DESC
LIMIT %(limit)s OFFSET %(skip)s;

-- count_by_reference --
-- How many there are, on all pages.
SELECT count(*)
FROM (
    SELECT 1 AS found
    -- include found --
) AS found;

-- by_label --
-- Movements with a pair of metadata, newest first.
SELECT l.movement_id
FROM movement_labels AS l
WHERE
    l.value = %(value)s
    AND l.key = %(key)s
    AND (l.created_at, l.movement_id) < (%(after_time)s, %(after_id)s)
ORDER BY l.created_at DESC, l.movement_id DESC
LIMIT %(limit)s OFFSET %(skip)s;

-- count_by_label --
-- How many there are, on all pages.
SELECT count(*)
FROM movement_labels AS l
WHERE l.value = %(value)s AND l.key = %(key)s;

-- label_part --
-- Labels movements of the journal, a part of it at a time; the last movement of the part. What is
-- labelled already stays so.
WITH part AS (
    SELECT
        movement_id,
        kind,
        created_at,
        metadata
    FROM movements
    WHERE movement_id > %(after)s
    ORDER BY movement_id
    LIMIT %(limit)s
),

labelled AS (
    INSERT INTO movement_labels (value, key, created_at, movement_id)
    SELECT
        pair.value,
        pair.key,
        part.created_at,
        part.movement_id
    FROM part
    CROSS JOIN LATERAL jsonb_each_text(part.metadata) AS pair
    WHERE pair.key = ANY(%(keys)s) AND part.kind NOT IN (10, 11, 12)
    ON CONFLICT DO NOTHING
)

SELECT movement_id
FROM part
ORDER BY movement_id DESC
LIMIT 1;
