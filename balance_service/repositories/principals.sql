-- insert --
-- A sibling service that may call.
INSERT INTO service_principals (client_id, secret_hash, description, scopes, created_at)
VALUES (%(client_id)s, '', %(description)s, %(scopes)s, %(now)s)
ON CONFLICT DO NOTHING;

-- adopt --
-- The secret of a service that an earlier version added, where this version keeps secrets.
INSERT INTO client_secrets (client_id, secret_id, secret_hash, created_at, revoked_at)
SELECT
    p.client_id,
    md5(p.client_id)::uuid AS secret_id,
    p.secret_hash,
    p.created_at,
    p.revoked_at
FROM service_principals AS p
WHERE
    p.client_id = %(client_id)s
    AND p.secret_hash <> ''
    AND NOT EXISTS (
        SELECT
        FROM client_secrets AS s
        WHERE s.client_id = p.client_id
    )
ON CONFLICT DO NOTHING;

-- lock --
-- A sibling service, locked while its secrets are changed.
SELECT revoked_at IS NULL AS may_sign_in
FROM service_principals
WHERE client_id = %(client_id)s
FOR UPDATE;

-- scopes_of --
-- What a sibling service may do that may sign in.
SELECT scopes
FROM service_principals
WHERE client_id = %(client_id)s AND revoked_at IS NULL;

-- all --
-- Every sibling service, by name.
SELECT
    client_id,
    description,
    scopes,
    created_at,
    revoked_at
FROM service_principals
ORDER BY client_id;

-- secrets --
-- The secrets of a service, the newest first; not what they are.
SELECT
    secret_id,
    created_at,
    expires_at,
    revoked_at,
    used_on,
    revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()) AS live
FROM client_secrets
WHERE client_id = %(client_id)s
ORDER BY created_at DESC, secret_id DESC;

-- insert_secret --
-- Another secret of a service.
INSERT INTO client_secrets (client_id, secret_id, secret_hash, mark, created_at, expires_at)
VALUES (
    %(client_id)s,
    %(secret_id)s,
    %(secret_hash)s,
    %(mark)s,
    clock_timestamp(),
    clock_timestamp() + %(life)s
);

-- expire_secret --
-- When a secret ends at the latest.
UPDATE client_secrets
SET expires_at = least(expires_at, clock_timestamp() + %(life)s)
WHERE client_id = %(client_id)s AND secret_id = %(secret_id)s;

-- revoke_secret --
-- Ends a secret, and the tokens that were given for it.
UPDATE client_secrets
SET revoked_at = clock_timestamp()
WHERE client_id = %(client_id)s AND secret_id = %(secret_id)s AND revoked_at IS NULL;

-- copy_newest --
-- Has earlier versions accept the newest secret that is live, or none.
UPDATE service_principals AS p
SET secret_hash = coalesce(
    (
        SELECT s.secret_hash
        FROM client_secrets AS s
        WHERE
            s.client_id = p.client_id
            AND s.revoked_at IS NULL
            AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
        ORDER BY s.created_at DESC, s.secret_id DESC
        LIMIT 1
    ),
    ''
)
WHERE p.client_id = %(client_id)s;

-- live_secrets --
-- What a service may sign in with. One that an earlier version added has its secret beside it.
SELECT
    s.secret_id,
    s.secret_hash,
    s.expires_at,
    p.scopes,
    coalesce(s.used_on >= (clock_timestamp() AT TIME ZONE 'UTC')::date, FALSE) AS used_today
FROM service_principals AS p
INNER JOIN client_secrets AS s ON p.client_id = s.client_id
WHERE
    p.client_id = %(client_id)s
    AND p.revoked_at IS NULL
    AND s.revoked_at IS NULL
    AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
UNION ALL
SELECT
    md5(p.client_id)::uuid AS secret_id,
    p.secret_hash,
    NULL AS expires_at,
    p.scopes,
    FALSE AS used_today
FROM service_principals AS p
WHERE
    p.client_id = %(client_id)s
    AND p.revoked_at IS NULL
    AND p.secret_hash <> ''
    AND NOT EXISTS (
        SELECT
        FROM client_secrets AS s
        WHERE s.client_id = p.client_id
    );

-- use_secret --
-- On which day a secret was used last.
UPDATE client_secrets
SET used_on = (clock_timestamp() AT TIME ZONE 'UTC')::date
WHERE client_id = %(client_id)s AND secret_id = %(secret_id)s;

-- replace_hash --
-- Another hash of the same secret.
UPDATE client_secrets
SET secret_hash = %(secret_hash)s, mark = %(mark)s
WHERE client_id = %(client_id)s AND secret_id = %(secret_id)s;

-- count_hashes_of_others --
-- How many live secrets are hashed with another secret of the service, as far as is known.
SELECT count(*)
FROM client_secrets AS s
INNER JOIN service_principals AS p ON s.client_id = p.client_id
WHERE
    s.mark IS DISTINCT FROM %(mark)s::bytea
    AND p.revoked_at IS NULL
    AND s.revoked_at IS NULL
    AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp());

-- revoke --
-- Stops a sibling service from signing in.
UPDATE service_principals
SET revoked_at = clock_timestamp()
WHERE client_id = %(client_id)s AND revoked_at IS NULL;

-- revoke_secrets --
-- Ends all secrets of a service.
UPDATE client_secrets
SET revoked_at = clock_timestamp()
WHERE client_id = %(client_id)s AND revoked_at IS NULL;
