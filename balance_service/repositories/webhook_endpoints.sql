-- insert --
-- An endpoint, which hears what follows its place.
INSERT INTO webhook_endpoints (
    endpoint_id,
    owner,
    url,
    description,
    types,
    account_ids,
    disabled,
    disabled_reason,
    secret,
    secret_at,
    version,
    created_at,
    updated_at,
    place_sequence,
    place_event_id,
    failures,
    rests_until,
    leased_until
)
VALUES (
    %(endpoint_id)s,
    %(owner)s,
    %(url)s,
    %(description)s,
    %(types)s,
    %(account_ids)s,
    %(disabled)s,
    %(disabled_reason)s,
    %(secret)s,
    %(secret_at)s,
    %(version)s,
    %(created_at)s,
    %(updated_at)s,
    %(place_sequence)s,
    %(place_event_id)s,
    %(failures)s,
    %(created_at)s,
    %(created_at)s
);

-- lock_owner --
-- Has whoever adds an endpoint of the same owner wait until this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(%(owner)s, 0));

-- count --
-- How many endpoints somebody has.
SELECT count(*)
FROM webhook_endpoints
WHERE owner = %(owner)s AND deleted_at IS NULL;

-- get --
-- An endpoint.
SELECT
    -- begin all --
    endpoint_id,
    owner,
    url,
    description,
    types,
    account_ids,
    disabled,
    disabled_reason,
    secret,
    secret_at,
    old_secret,
    old_secret_until,
    version,
    created_at,
    updated_at,
    place_sequence,
    place_event_id,
    failures,
    failing_since
    -- end all --
FROM webhook_endpoints
WHERE endpoint_id = %(endpoint_id)s AND deleted_at IS NULL;

-- lock --
-- An endpoint, for a change.
SELECT
    -- include all --
FROM webhook_endpoints
WHERE endpoint_id = %(endpoint_id)s AND deleted_at IS NULL
FOR UPDATE;

-- page --
-- A part of everybody's endpoints, oldest first.
SELECT
    -- include all --
FROM webhook_endpoints
WHERE
    deleted_at IS NULL
    AND (created_at, endpoint_id) > (%(after_time)s::timestamptz, %(after_id)s::uuid)
ORDER BY created_at, endpoint_id
LIMIT %(limit)s OFFSET %(skip)s;

-- page_of_owner --
-- A part of somebody's endpoints, oldest first.
SELECT
    -- include all --
FROM webhook_endpoints
WHERE
    owner = %(owner)s
    AND deleted_at IS NULL
    AND (created_at, endpoint_id) > (%(after_time)s::timestamptz, %(after_id)s::uuid)
ORDER BY created_at, endpoint_id
LIMIT %(limit)s OFFSET %(skip)s;

-- count_all --
-- How many endpoints there are.
SELECT count(*)
FROM webhook_endpoints
WHERE deleted_at IS NULL;

-- update --
-- What somebody changed of a locked endpoint, or the service itself.
UPDATE webhook_endpoints
SET
    url = %(url)s,
    description = %(description)s,
    types = %(types)s,
    account_ids = %(account_ids)s,
    disabled = %(disabled)s,
    disabled_reason = %(disabled_reason)s,
    secret = %(secret)s,
    secret_at = %(secret_at)s,
    old_secret = %(old_secret)s,
    old_secret_until = %(old_secret_until)s,
    version = %(version)s,
    updated_at = %(updated_at)s,
    place_sequence = %(place_sequence)s,
    place_event_id = %(place_event_id)s,
    failures = %(failures)s,
    failing_since = %(failing_since)s,
    rests_until = clock_timestamp()
WHERE endpoint_id = %(endpoint_id)s;

-- delete --
-- Takes a locked endpoint and its secrets away; its deliveries follow.
UPDATE webhook_endpoints
SET
    disabled = TRUE,
    secret = '',
    old_secret = NULL,
    deleted_at = clock_timestamp()
WHERE endpoint_id = %(endpoint_id)s;

-- forget --
-- Takes somebody's endpoints away with all that was said of them; their deliveries follow.
UPDATE webhook_endpoints
SET
    url = '',
    description = '',
    account_ids = '{}',
    disabled = TRUE,
    secret = '',
    old_secret = NULL,
    deleted_at = clock_timestamp()
WHERE owner = %(owner)s AND deleted_at IS NULL;

-- replace_seal --
-- The same secrets, sealed again.
UPDATE webhook_endpoints
SET secret = %(secret)s, old_secret = %(old_secret)s
WHERE endpoint_id = %(endpoint_id)s AND secret_at = %(secret_at)s;

-- claim --
-- Endpoints that something can be sent to and nobody is sending to, the longest waiting first.
WITH ready AS (
    SELECT e.endpoint_id
    FROM webhook_endpoints AS e
    WHERE
        NOT e.disabled
        AND e.deleted_at IS NULL
        AND e.leased_until <= clock_timestamp()
        AND e.rests_until <= clock_timestamp()
        AND (
            e.place_sequence < (SELECT max(l.last_sequence) FROM events AS l)
            OR EXISTS (
                SELECT
                FROM webhook_deliveries AS d
                WHERE
                    d.endpoint_id = e.endpoint_id
                    AND d.state = 1
                    AND d.next_attempt_at <= clock_timestamp()
            )
        )
    ORDER BY e.leased_until
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

UPDATE webhook_endpoints AS e
SET lease = %(lease)s, leased_until = clock_timestamp() + %(life)s::interval
FROM ready
WHERE e.endpoint_id = ready.endpoint_id
RETURNING e.endpoint_id;

-- renew --
-- An endpoint whose lease goes on, unless it was disabled or deleted, or somebody else has it.
UPDATE webhook_endpoints
SET leased_until = clock_timestamp() + %(life)s::interval
WHERE
    endpoint_id = %(endpoint_id)s
    AND lease = %(lease)s
    AND NOT disabled
    AND deleted_at IS NULL
    AND rests_until <= clock_timestamp();

-- release --
-- Lets somebody else send to an endpoint.
UPDATE webhook_endpoints
SET lease = NULL, leased_until = clock_timestamp()
WHERE endpoint_id = %(endpoint_id)s AND lease = %(lease)s;

-- advance --
-- How far an endpoint has come.
UPDATE webhook_endpoints
SET place_sequence = %(sequence)s, place_event_id = %(event_id)s
WHERE endpoint_id = %(endpoint_id)s AND lease = %(lease)s;

-- note_attempts --
-- What attempts say of an endpoint.
UPDATE webhook_endpoints
SET
    failures = %(failures)s,
    failing_since = CASE
        WHEN %(failures)s = 0 THEN NULL
        WHEN %(succeeded)s THEN clock_timestamp()
        ELSE coalesce(failing_since, clock_timestamp())
    END,
    rests_until = clock_timestamp() + %(rest)s::interval
WHERE endpoint_id = %(endpoint_id)s
RETURNING failing_since;

-- clear_deleted --
-- Endpoints that were deleted and have no deliveries any more.
DELETE FROM webhook_endpoints AS e
WHERE
    e.deleted_at IS NOT NULL
    AND NOT EXISTS (
        SELECT
        FROM webhook_deliveries AS d
        WHERE d.endpoint_id = e.endpoint_id
    );

-- owner_of_scopes --
-- What a service may do that may sign in.
SELECT scopes
FROM service_principals
WHERE client_id = %(client_id)s AND revoked_at IS NULL;
