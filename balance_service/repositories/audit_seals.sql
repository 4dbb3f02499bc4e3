-- lock --
-- Whether this transaction seals; another that does so now is left to it.
SELECT pg_try_advisory_xact_lock(%(lock)s);

-- head --
-- The last link of the chain.
SELECT
    sequence,
    hash
FROM audit_seals
ORDER BY sequence DESC
LIMIT 1;

-- take --
-- Events that can no longer be overtaken, in the order of their transactions: none that began
-- before is still under way. One of a later transaction than there was yet comes from a dump.
WITH ripe AS (
    DELETE FROM audit_unsealed
    WHERE event_id IN (
        SELECT u.event_id
        FROM audit_unsealed AS u
        WHERE
            EXISTS (
                SELECT FROM audit_events AS e
                WHERE e.event_id = u.event_id
            )
            -- begin ripe --
            AND (
                u.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
                OR u.transaction_id >= pg_snapshot_xmax(pg_current_snapshot())
            )
            -- end ripe --
        ORDER BY u.transaction_id, u.event_id
        LIMIT %(limit)s
    )
    RETURNING event_id, transaction_id
)

SELECT
    -- begin columns --
    e.event_id,
    e.created_at,
    e.action,
    e.refusal,
    e.actor,
    e.session_id,
    e.network,
    e.request_id,
    e.target,
    e.value_before,
    e.value_after,
    e.reason,
    -- end columns --
    NULL AS sequence,
    NULL AS hash
FROM ripe
INNER JOIN audit_events AS e ON ripe.event_id = e.event_id
ORDER BY ripe.transaction_id, e.created_at, e.event_id;

-- insert --
-- Links of the chain.
INSERT INTO audit_seals (sequence, event_id, hash)
SELECT *
FROM
    unnest(%(numbers)s::bigint[], %(event_ids)s::uuid[], %(links)s::bytea[])
    AS made (sequence, event_id, hash);

-- chain --
-- A part of the chain, from its beginning, with what it seals: no event where that is gone.
SELECT
    -- include columns --
    s.sequence,
    s.hash,
    s.event_id
FROM audit_seals AS s
LEFT JOIN audit_events AS e ON s.event_id = e.event_id
WHERE s.sequence > %(after)s
ORDER BY s.sequence
LIMIT %(limit)s;

-- audit_events_are_sealed --
-- Events that are neither sealed nor waiting for it, wait for too long, are gone, or sealed twice.
SELECT
    coalesce(e.event_id, u.event_id) AS subject,
    CASE WHEN e.event_id IS NULL THEN 'not there' ELSE 'not sealed' END AS stored,
    'sealed' AS computed
FROM audit_events AS e
FULL JOIN audit_unsealed AS u ON e.event_id = u.event_id
WHERE
    NOT EXISTS (
        SELECT FROM audit_seals AS s
        WHERE s.event_id = e.event_id
    )
    AND (
        e.event_id IS NULL
        OR u.event_id IS NULL
        OR (
            e.created_at < clock_timestamp() - %(overdue_after)s::interval
            -- include ripe --
        )
    )
UNION ALL
SELECT
    s.event_id AS subject,
    'sealed more than once' AS stored,
    'sealed once' AS computed
FROM audit_seals AS s
GROUP BY s.event_id
HAVING count(*) > 1
LIMIT %(limit)s;
