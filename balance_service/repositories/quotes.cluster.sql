-- expired --
-- Quotes that expired a while ago, to be looked at once; Citus takes no lock beside what it reads
-- of shards.
SELECT
    quote_id,
    account_id
FROM quotes
WHERE NOT kept AND expires_at < clock_timestamp() - %(kept_for)s::interval
ORDER BY expires_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- used --
-- Those of some quotes that were carried out.
SELECT quote_id
FROM quote_uses
WHERE account_id = ANY(%(account_ids)s::uuid[]) AND quote_id = ANY(%(quote_ids)s::uuid[]);

-- keep --
-- Has quotes stay, and not be looked at again.
UPDATE quotes
SET kept = TRUE
WHERE quote_id = ANY(%(quote_ids)s::uuid[]);

-- delete --
-- Deletes quotes that were not carried out.
DELETE FROM quotes
WHERE quote_id = ANY(%(quote_ids)s::uuid[]);
