-- leaves --
-- Movements, and then both entries of each, are read on their shards.
WITH item AS MATERIALIZED ( -- noqa: PRS
    -- include given --
),

-- begin sought --
m AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE movement_id IN (SELECT item.movement_id FROM item)
),

f AS MATERIALIZED (
    SELECT *
    FROM entries
    WHERE (account_id, sequence) IN (
        SELECT
            m.from_account_id,
            item.from_sequence
        FROM item
        INNER JOIN m ON item.movement_id = m.movement_id
    )
),

t AS MATERIALIZED (
    SELECT *
    FROM entries
    WHERE (account_id, sequence) IN (
        SELECT
            m.to_account_id,
            item.to_sequence
        FROM item
        INNER JOIN m ON item.movement_id = m.movement_id
    )
)
-- end sought --

SELECT
    -- include joined --
    count(m.movement_id) AS movements
-- begin beside --
FROM item
LEFT JOIN m ON item.movement_id = m.movement_id
LEFT JOIN f ON m.from_account_id = f.account_id AND item.from_sequence = f.sequence
LEFT JOIN t ON m.to_account_id = t.account_id AND item.to_sequence = t.sequence
-- end beside --
-- include texts --
;

-- of_checkpoints --
-- The same of what some checkpoints cover.
WITH item AS MATERIALIZED ( -- noqa: PRS
    -- include of_checkpoints_covered --
),

-- include sought --

SELECT
    item.number,
    -- include joined --
    count(m.movement_id) AS movements
-- include beside --
-- include texts --
GROUP BY item.number
ORDER BY item.number;

-- receipt --
-- The same of one movement.
WITH item AS MATERIALIZED ( -- noqa: PRS
    -- include of_receipt --
),

-- include sought --

SELECT
    -- include shown --
-- include beside --
-- include texts --
;
