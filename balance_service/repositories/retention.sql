-- idempotency_keys --
-- Answers that nobody will ask for again.
DELETE FROM idempotency_keys
WHERE (principal, request_id) IN (
    SELECT
        k.principal,
        k.request_id
    FROM idempotency_keys AS k
    WHERE k.created_at < clock_timestamp() - %(kept)s::interval
    ORDER BY k.created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
);

-- verifications --
-- Codes that have expired.
DELETE FROM verifications
WHERE verification_hash IN (
    SELECT v.verification_hash
    FROM verifications AS v
    WHERE v.expires_at < clock_timestamp() - %(kept)s::interval
    ORDER BY v.expires_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
);

-- sign_in_quotas --
-- Quotas that are full, and so limit nothing. Those that are being taken from are left alone, for
-- waiting for several in any order could be a deadlock.
DELETE FROM sign_in_quotas
WHERE key IN (
    SELECT q.key
    FROM sign_in_quotas AS q
    WHERE q.full_at < clock_timestamp() - %(kept)s::interval
    ORDER BY q.full_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
);

-- known_askers --
-- Networks from which nobody signed in for long.
DELETE FROM known_askers
WHERE asker IN (
    SELECT a.asker
    FROM known_askers AS a
    WHERE a.seen_at < clock_timestamp() - %(kept)s::interval
    ORDER BY a.seen_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
);

-- confirmation_codes --
-- Codes that earlier versions sent, and that limit nothing any more.
DELETE FROM confirmation_codes
WHERE email IN (
    SELECT c.email
    FROM confirmation_codes AS c
    WHERE greatest(c.expires_at, c.sent_at) < clock_timestamp() - %(kept)s::interval
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
);

-- refresh_tokens --
-- Refresh tokens whose reuse can no longer matter, of a part of them by their keys: no index has
-- them by time, for each exchange of tokens would write to it. The last key of the part.
WITH part AS (
    SELECT
        t.token_hash AS key,
        t.expires_at
    FROM refresh_tokens AS t
    WHERE t.token_hash > coalesce(%(after)s::bytea, '')
    ORDER BY t.token_hash
    LIMIT %(limit)s
),

old AS (
    SELECT t.token_hash AS key
    FROM refresh_tokens AS t
    INNER JOIN part AS p ON t.token_hash = p.key
    WHERE p.expires_at < clock_timestamp() - %(kept)s::interval
    FOR UPDATE OF t SKIP LOCKED
),

deleted AS (
    DELETE FROM refresh_tokens
    WHERE token_hash IN (SELECT o.key FROM old AS o)
)

SELECT p.key
FROM part AS p
ORDER BY p.key DESC
LIMIT 1;

-- sessions --
-- Sign-ins whose tokens have all expired, of a part of them by their keys, as above.
WITH part AS (
    SELECT
        s.session_id AS key,
        s.expires_at
    FROM sessions AS s
    WHERE s.session_id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY s.session_id
    LIMIT %(limit)s
),

old AS (
    SELECT s.session_id AS key
    FROM sessions AS s
    INNER JOIN part AS p ON s.session_id = p.key
    WHERE p.expires_at < clock_timestamp() - %(kept)s::interval
    FOR UPDATE OF s SKIP LOCKED
),

deleted AS (
    DELETE FROM sessions
    WHERE session_id IN (SELECT o.key FROM old AS o)
)

SELECT p.key
FROM part AS p
ORDER BY p.key DESC
LIMIT 1;
