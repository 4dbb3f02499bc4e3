-- write_to_covered --
-- Inserts nothing, on the shards of some movements, for the reason of `write_to_movements`.
INSERT INTO covered_movements
SELECT *
FROM covered_movements
WHERE movement_id = ANY(%(movement_ids)s::uuid[]) AND number < 0;
