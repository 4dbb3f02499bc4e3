-- record --
-- Events, in the transaction of what they tell of, and that they are to be sealed.
WITH events AS (
    INSERT INTO audit_events (
        event_id,
        created_at,
        action,
        refusal,
        actor,
        session_id,
        network,
        request_id,
        target,
        value_before,
        value_after,
        reason
    )
    VALUES (
        %(event_id)s,
        clock_timestamp(),
        %(action)s,
        %(refusal)s,
        %(actor)s,
        %(session_id)s,
        %(network)s,
        %(request_id)s,
        %(target)s,
        %(before)s,
        %(after)s,
        %(reason)s
    )
    RETURNING event_id
)

INSERT INTO audit_unsealed (event_id, transaction_id)
SELECT
    event_id,
    pg_current_xact_id() AS transaction_id
FROM events;

-- page --
-- A part of the log, newest first.
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
    s.sequence,
    s.hash
    -- end columns --
FROM audit_events AS e
LEFT JOIN audit_seals AS s ON e.event_id = s.event_id
WHERE
    (
        %(after_time)s::timestamptz IS NULL
        OR (e.created_at, e.event_id) < (%(after_time)s, %(after_id)s::uuid)
    )
    -- begin kept --
    AND (%(actor)s::text = '' OR e.actor = %(actor)s)
    AND (%(target)s::text = '' OR e.target = %(target)s)
    AND (%(action)s::text = '' OR e.action = %(action)s)
    AND (%(start_time)s::timestamptz IS NULL OR e.created_at >= %(start_time)s)
    AND (%(end_time)s::timestamptz IS NULL OR e.created_at < %(end_time)s)
    -- end kept --
ORDER BY e.created_at DESC, e.event_id DESC
LIMIT %(limit)s OFFSET %(skip)s;

-- page_from_oldest --
-- The same, oldest first.
SELECT
    -- include columns --
FROM audit_events AS e
LEFT JOIN audit_seals AS s ON e.event_id = s.event_id
WHERE
    (
        %(after_time)s::timestamptz IS NULL
        OR (e.created_at, e.event_id) > (%(after_time)s, %(after_id)s::uuid)
    )
    -- include kept --
ORDER BY e.created_at, e.event_id
LIMIT %(limit)s OFFSET %(skip)s;

-- count --
-- How many events a list has, on all its pages.
SELECT count(*)
FROM (
    SELECT e.event_id
    FROM audit_events AS e
    WHERE
        TRUE
        -- include kept --
) AS listed;

-- plan_by_values --
-- A log that only grows is searched by the index of what is asked for: one plan does not fit all.
SET LOCAL plan_cache_mode = force_custom_plan;
