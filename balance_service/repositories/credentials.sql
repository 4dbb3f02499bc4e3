-- lock_code --
-- How often codes were sent to an address, with its row locked, which is made if need be: of two
-- first requests at once the second waits for the row of the first.
INSERT INTO confirmation_codes
    (email, code_hash, expires_at, sent_at, sent_count, counted_since)
VALUES
    (%(email)s, '', %(now)s, %(now)s - interval '1 hour', 0, %(now)s - interval '1 hour')
ON CONFLICT (email) DO UPDATE SET email = excluded.email
RETURNING sent_at, sent_count, counted_since;

-- count_code --
-- Counts a code before it is sent, so that no crash gives its place in the limits back.
UPDATE confirmation_codes
SET
    sent_at = %(sent_at)s,
    sent_count = %(sent_count)s,
    counted_since = %(counted_since)s
WHERE email = %(email)s;

-- uncount_code --
-- Takes back what was counted for a code that could not be sent.
UPDATE confirmation_codes
SET
    sent_at = %(sent_at)s,
    sent_count = %(sent_count)s,
    counted_since = %(counted_since)s
WHERE email = %(email)s AND sent_at = %(counted_at)s;

-- put_code --
-- A new code in place of the last, once it was sent.
UPDATE confirmation_codes
SET
    code_hash = %(code_hash)s,
    attempts = 0,
    expires_at = %(expires_at)s
WHERE email = %(email)s AND sent_at = %(sent_at)s;

-- count_attempt --
-- Uses up one attempt at a code, whatever comes of it.
UPDATE confirmation_codes
SET attempts = attempts + 1
WHERE email = %(email)s AND attempts < %(attempts_max)s AND expires_at > %(now)s
RETURNING code_hash;

-- spend_code --
-- Makes a code unusable; the row stays to limit how often codes are sent.
-- Nothing hashes to no bytes, and of two that spend it at once the second no longer finds it.
UPDATE confirmation_codes
SET code_hash = ''
WHERE email = %(email)s AND code_hash = %(code_hash)s;

-- create_session --
-- A sign-in.
INSERT INTO sessions (session_id, user_id, created_at, expires_at)
VALUES (%(session_id)s, %(user_id)s, %(now)s, %(expires_at)s);

-- insert_refresh_token --
-- A refresh token of a sign-in.
INSERT INTO refresh_tokens (token_hash, session_id, expires_at)
VALUES (%(token_hash)s, %(session_id)s, %(expires_at)s);

-- find_refresh_token --
-- A refresh token and its sign-in, locked so that it is used once.
SELECT
    t.session_id,
    t.expires_at,
    t.used_at,
    s.user_id,
    s.expires_at AS session_expires_at,
    s.revoked_at
FROM refresh_tokens AS t
INNER JOIN sessions AS s ON t.session_id = s.session_id
WHERE t.token_hash = %(token_hash)s
FOR UPDATE OF t;

-- use_refresh_token --
-- Marks a refresh token as used.
UPDATE refresh_tokens
SET used_at = %(now)s
WHERE token_hash = %(token_hash)s;

-- revoke_session --
-- Revokes a sign-in with all its tokens.
UPDATE sessions
SET revoked_at = %(now)s
WHERE session_id = %(session_id)s AND revoked_at IS NULL;

-- revoke_sessions_of_user --
-- Revokes all sign-ins of a user.
UPDATE sessions
SET revoked_at = %(now)s
WHERE user_id = %(user_id)s AND revoked_at IS NULL;

-- revoked_sessions --
-- Sign-ins whose access tokens may still be in use though they were revoked.
SELECT session_id
FROM sessions
WHERE revoked_at > %(since)s;

-- lock_signing_keys --
-- Keeps others from adding keys, so that no two processes make a first one; reading goes on.
LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE;

-- signing_keys --
-- Keys that tokens may be signed with, newest first.
SELECT
key_id,
sealed_private_key,
public_key,
created_at
FROM signing_keys
WHERE retired_at IS NULL
ORDER BY created_at DESC, key_id DESC;

-- insert_signing_key --
-- A new key.
INSERT INTO signing_keys (key_id, sealed_private_key, public_key, created_at)
VALUES (%(key_id)s, %(sealed_private_key)s, %(public_key)s, %(now)s);

-- insert_principal --
-- A sibling service that may call.
INSERT INTO service_principals (client_id, secret_hash, description, scopes, created_at)
VALUES (%(client_id)s, %(secret_hash)s, %(description)s, %(scopes)s, %(now)s)
ON CONFLICT DO NOTHING;

-- find_principal --
-- A sibling service's secret and scopes.
SELECT
secret_hash,
scopes
FROM service_principals
WHERE client_id = %(client_id)s AND revoked_at IS NULL;

-- revoke_principal --
-- Stops a sibling service from signing in.
UPDATE service_principals
SET revoked_at = %(now)s
WHERE client_id = %(client_id)s AND revoked_at IS NULL;

-- delete_old_codes --
-- Codes that limit nothing any more.
DELETE FROM confirmation_codes
WHERE expires_at < %(before)s AND sent_at < %(before)s;

-- delete_old_tokens --
-- Refresh tokens whose reuse can no longer matter.
DELETE FROM refresh_tokens
WHERE expires_at < %(before)s;

-- delete_old_sessions --
-- Sign-ins whose tokens have all expired.
DELETE FROM sessions
WHERE expires_at < %(before)s;
