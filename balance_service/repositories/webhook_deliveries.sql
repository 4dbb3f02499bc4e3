-- add --
-- Events of the log that are to be sent, unless they are or were.
INSERT INTO webhook_deliveries (
    endpoint_id,
    event_id,
    sequence,
    kind,
    state,
    attempts,
    http_status,
    error,
    created_at,
    next_attempt_at
)
SELECT
    %(endpoint_id)s,
    told.event_id,
    told.sequence,
    told.kind,
    1 AS state,
    0 AS attempts,
    0 AS http_status,
    '' AS error,
    statement_timestamp() AS created_at,
    statement_timestamp() AS next_attempt_at
FROM unnest(%(event_ids)s::uuid[], %(sequences)s::bigint[], %(kinds)s::smallint[])
AS told (event_id, sequence, kind)
ON CONFLICT (endpoint_id, event_id) DO NOTHING;

-- again --
-- Has events be sent again that were, or are, to be sent.
UPDATE webhook_deliveries
SET
    state = 1,
    attempts = 0,
    next_attempt_at = statement_timestamp()
WHERE endpoint_id = %(endpoint_id)s AND event_id = ANY(%(event_ids)s::uuid[]);

-- add_test --
-- A test event that is to be sent.
INSERT INTO webhook_deliveries (
    endpoint_id,
    event_id,
    state,
    attempts,
    http_status,
    error,
    created_at,
    next_attempt_at
)
VALUES (
    %(endpoint_id)s,
    %(event_id)s,
    1,
    0,
    0,
    '',
    statement_timestamp(),
    statement_timestamp()
);

-- find --
-- What became of an event.
SELECT
    -- begin all --
    endpoint_id,
    event_id,
    sequence,
    kind,
    state,
    attempts,
    http_status,
    error,
    created_at,
    attempted_at,
    next_attempt_at
    -- end all --
FROM webhook_deliveries
WHERE endpoint_id = %(endpoint_id)s AND event_id = %(event_id)s;

-- page --
-- A part of an endpoint's deliveries, newest first.
SELECT
    -- include all --
FROM webhook_deliveries
WHERE
    endpoint_id = %(endpoint_id)s
    AND (
        %(before_time)s::timestamptz IS NULL
        OR (created_at, event_id) < (%(before_time)s, %(before_id)s::uuid)
    )
    -- begin kept --
    AND (%(state)s::smallint IS NULL OR state = %(state)s)
    -- end kept --
ORDER BY created_at DESC, event_id DESC
LIMIT %(limit)s OFFSET %(skip)s;

-- count --
-- How many deliveries a list has, on all its pages.
SELECT count(*)
FROM (
    SELECT event_id
    FROM webhook_deliveries
    WHERE
        endpoint_id = %(endpoint_id)s
        -- include kept --
) AS listed;

-- count_pending --
-- How many events wait for an endpoint, as far as that is of interest.
SELECT count(*)
FROM (
    SELECT d.event_id
    FROM webhook_deliveries AS d
    WHERE d.endpoint_id = %(endpoint_id)s AND d.state = 1
    LIMIT %(most)s
) AS waiting;

-- due --
-- What is to be sent now, in the order in which it came to be.
SELECT
    -- include all --
FROM webhook_deliveries
WHERE
    endpoint_id = %(endpoint_id)s
    AND state = 1
    AND next_attempt_at <= clock_timestamp()
ORDER BY next_attempt_at, sequence
LIMIT %(limit)s;

-- record --
-- What came of attempts, unless somebody has had the event be sent again meanwhile.
UPDATE webhook_deliveries AS d
SET
    state = tried.state,
    attempts = tried.attempts,
    http_status = tried.http_status,
    error = tried.error,
    attempted_at = clock_timestamp(),
    next_attempt_at = clock_timestamp() + tried.delay * interval '1 second'
FROM unnest(
    %(event_ids)s::uuid[],
    %(states)s::smallint[],
    %(attempts)s::bigint[],
    %(statuses)s::smallint[],
    %(errors)s::text[],
    %(delays)s::bigint[],
    %(due_ats)s::timestamptz[]
) AS tried (event_id, state, attempts, http_status, error, delay, due_at)
WHERE
    d.endpoint_id = %(endpoint_id)s
    AND d.event_id = tried.event_id
    AND d.next_attempt_at = tried.due_at;

-- delete_old --
-- What was delivered or died some time ago, the oldest first.
DELETE FROM webhook_deliveries AS d
USING (
    (
        SELECT
            o.endpoint_id,
            o.event_id
        FROM webhook_deliveries AS o
        WHERE o.state = 2 AND o.attempted_at < clock_timestamp() - %(kept)s::interval
        ORDER BY o.attempted_at
        LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT
            o.endpoint_id,
            o.event_id
        FROM webhook_deliveries AS o
        WHERE o.state = 3 AND o.attempted_at < clock_timestamp() - %(kept)s::interval
        ORDER BY o.attempted_at
        LIMIT %(limit)s
    )
) AS old
WHERE d.endpoint_id = old.endpoint_id AND d.event_id = old.event_id;

-- delete_of_deleted --
-- What was sent to endpoints that are deleted, or was to be.
DELETE FROM webhook_deliveries AS d
USING (
    SELECT
        o.endpoint_id,
        o.event_id
    FROM webhook_endpoints AS e
    INNER JOIN webhook_deliveries AS o ON e.endpoint_id = o.endpoint_id
    WHERE e.deleted_at IS NOT NULL
    LIMIT %(limit)s
) AS old
WHERE d.endpoint_id = old.endpoint_id AND d.event_id = old.event_id;
