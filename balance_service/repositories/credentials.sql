-- create_session --
-- A sign-in.
INSERT INTO sessions (session_id, user_id, created_at, expires_at, second_factor)
VALUES (%(session_id)s, %(user_id)s, %(now)s, %(expires_at)s, %(second_factor)s);

-- prove_session --
-- That a second factor was proved in a sign-in.
UPDATE sessions
SET second_factor = TRUE
WHERE session_id = %(session_id)s;

-- insert_refresh_token --
-- A refresh token of a sign-in.
INSERT INTO refresh_tokens (token_hash, session_id, expires_at)
VALUES (%(token_hash)s, %(session_id)s, %(expires_at)s);

-- find_refresh_token --
-- A refresh token and its sign-in, locked so that it is used once.
SELECT
    t.token_hash,
    t.session_id,
    t.expires_at,
    s.user_id,
    s.expires_at AS session_expires_at,
    s.revoked_at,
    s.second_factor,
    clock_timestamp() - t.used_at AS used_for
FROM refresh_tokens AS t
INNER JOIN sessions AS s ON t.session_id = s.session_id
WHERE t.token_hash = ANY(%(token_hashes)s::bytea[])
FOR UPDATE OF t;

-- use_refresh_token --
-- Marks a refresh token as used.
UPDATE refresh_tokens
SET used_at = clock_timestamp()
WHERE token_hash = %(token_hash)s;

-- is_unused --
-- Whether a refresh token may still be used.
SELECT TRUE
FROM refresh_tokens
WHERE token_hash = ANY(%(token_hashes)s::bytea[]) AND used_at IS NULL;

-- refresh_session --
-- When a sign-in's tokens were last exchanged.
UPDATE sessions
SET refreshed_at = %(now)s
WHERE session_id = %(session_id)s;

-- list_sessions --
-- A user's sign-ins that go on, the newest first.
SELECT
    session_id,
    created_at,
    refreshed_at,
    expires_at,
    second_factor
FROM sessions
WHERE user_id = %(user_id)s AND revoked_at IS NULL AND expires_at > %(now)s
ORDER BY created_at DESC, session_id DESC
LIMIT %(limit)s;

-- is_session_of --
-- Whether a sign-in is a user's, whether or not it goes on.
SELECT TRUE
FROM sessions
WHERE session_id = %(session_id)s AND user_id = %(user_id)s;

-- revoke_session --
-- Revokes a sign-in with all its tokens.
UPDATE sessions
SET revoked_at = %(now)s
WHERE session_id = %(session_id)s AND revoked_at IS NULL;

-- revoke_sessions_of_user --
-- Revokes all sign-ins of a user, but for one that is kept.
UPDATE sessions
SET revoked_at = %(now)s
WHERE
    user_id = %(user_id)s
    AND revoked_at IS NULL
    AND session_id IS DISTINCT FROM %(kept)s::uuid
RETURNING session_id;

-- expire_sessions_of_user --
-- Sign-ins of which nothing is left but that they ended lately.
UPDATE sessions
SET expires_at = least(expires_at, clock_timestamp())
WHERE user_id = %(user_id)s;

-- revoked_sessions --
-- Sign-ins, secrets and certificates of services whose access tokens may still be in use, though
-- they were revoked.
SELECT session_id
FROM sessions
WHERE revoked_at > %(since)s
UNION ALL
SELECT secret_id
FROM client_secrets
WHERE revoked_at > %(since)s
UNION ALL
SELECT certificate_id
FROM client_certificates
WHERE revoked_at > %(since)s;
