-- is_hidden --
-- Whether something that was written before a moment has no number yet.
SELECT
FROM outbox
WHERE created_at < %(began)s
LIMIT 1;
