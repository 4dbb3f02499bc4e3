-- partitions --
-- The partitions of the journal's tables, and what is true of each row of one.
SELECT
    inhparent::regclass::text AS parent,
    inhrelid AS partition,
    coalesce(pg_get_partition_constraintdef(inhrelid), 'true') AS bounds
FROM pg_inherits
WHERE
    inhparent = ANY(ARRAY[
        to_regclass('movements'), to_regclass('entries'), to_regclass('system_entries')
    ])
ORDER BY inhrelid;

-- row_is_in_its_partition --
-- Rows of a table for which that is not true, and where they are.
SELECT
    movement_id::text AS subject,
    tableoid::regclass::text AS stored
FROM {} -- noqa: PRS
WHERE CASE tableoid {} END IS NOT TRUE
LIMIT %(limit)s;
