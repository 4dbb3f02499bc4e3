-- page --
-- The movements are read on their shards, and then beside the events.
WITH e AS MATERIALIZED ( -- noqa: PRS
    -- include told_items --
),

m AS MATERIALIZED (
    SELECT
        movements.movement_id,
        movements.kind,
        movements.original_id,
        movements.from_account_id,
        movements.to_account_id
    FROM movements
    WHERE movements.movement_id IN (SELECT e.movement_id FROM e)
)

SELECT
    -- include told_columns --
FROM e
LEFT JOIN m ON e.movement_id = m.movement_id
-- include kept --
;
