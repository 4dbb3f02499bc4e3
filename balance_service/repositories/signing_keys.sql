-- lock --
-- Keeps others from changing keys, so that no two processes make a first one; reading goes on.
LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE;

-- in_use --
-- Keys that tokens may be signed or verified with, the newest first.
SELECT
    key_id,
    sealed_private_key,
    public_key,
    created_at,
    signs_at,
    stops_at,
    clock_timestamp() AS now
FROM signing_keys
WHERE retired_at IS NULL
ORDER BY created_at DESC, key_id DESC;

-- public_key --
-- The public half of a key, also of one that is out of use.
SELECT public_key
FROM signing_keys
WHERE key_id = %(key_id)s;

-- insert --
-- A new key, and from when it signs.
INSERT INTO signing_keys (key_id, sealed_private_key, public_key, created_at, signs_at)
VALUES (
    %(key_id)s,
    %(sealed_private_key)s,
    %(public_key)s,
    clock_timestamp(),
    clock_timestamp() + %(after)s
);

-- begin --
-- Has a key sign from now on.
UPDATE signing_keys
SET signs_at = clock_timestamp()
WHERE key_id = %(key_id)s AND signs_at > clock_timestamp();

-- stop --
-- Has a key sign no more.
UPDATE signing_keys
SET stops_at = clock_timestamp()
WHERE key_id = %(key_id)s AND stops_at IS NULL;

-- remove --
-- Takes keys out of use, and forgets their private halves.
UPDATE signing_keys
SET retired_at = clock_timestamp(), sealed_private_key = ''
WHERE key_id = ANY(%(key_ids)s) AND retired_at IS NULL;

-- reseal --
-- Another seal of a private half.
UPDATE signing_keys
SET sealed_private_key = %(sealed_private_key)s
WHERE key_id = %(key_id)s AND retired_at IS NULL;
