-- archived_entry_is_of_period --
-- Rows that were booked in another time than their file is for.
SELECT -- noqa: ST06
    account_id::text || ' of ' || movement_id AS subject,
    created_at AS stored,
    %(since)s || ' to ' || %(until)s AS computed
FROM (
    SELECT
        account_id,
        movement_id,
        created_at
    FROM entries
    UNION ALL
    SELECT
        account_id,
        movement_id,
        created_at
    FROM system_entries
) AS e
WHERE created_at < %(since)s::timestamptz OR created_at >= %(until)s::timestamptz
LIMIT %(limit)s;

-- archived_movement_is_covered --
-- Movements of a period that no checkpoint covers.
SELECT
    m.movement_id::text AS subject,
    'not covered' AS stored,
    'covered' AS computed
FROM movements AS m
LEFT JOIN covered_movements AS c ON m.movement_id = c.movement_id
WHERE
    m.created_at >= %(since)s::timestamptz
    AND m.created_at < %(until)s::timestamptz
    AND c.movement_id IS NULL
LIMIT %(limit)s;

-- covering --
-- The first and the last checkpoint that cover movements of a period.
SELECT
    coalesce(min(c.number), 1) AS first_number,
    coalesce(max(c.number), 0) AS last_number
FROM movements AS m
INNER JOIN covered_movements AS c ON m.movement_id = c.movement_id
WHERE m.created_at >= %(since)s::timestamptz AND m.created_at < %(until)s::timestamptz;
