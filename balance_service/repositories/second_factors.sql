-- put --
-- A secret that is to be confirmed, in place of one that was not.
INSERT INTO second_factors (user_id, sealed_secret, created_at)
VALUES (%(user_id)s, %(sealed_secret)s, %(now)s)
ON CONFLICT (user_id) DO UPDATE
SET
    sealed_secret = excluded.sealed_secret,
    created_at = excluded.created_at
WHERE second_factors.confirmed_at IS NULL;

-- get --
-- A user's secret.
SELECT
    sealed_secret,
    confirmed_at IS NOT NULL AS confirmed
FROM second_factors
WHERE user_id = %(user_id)s;

-- confirm --
-- That the user has the secret: they told its code of a step.
UPDATE second_factors
SET
    confirmed_at = %(now)s,
    last_step = %(step)s
WHERE user_id = %(user_id)s AND confirmed_at IS NULL AND sealed_secret = %(sealed_secret)s;

-- use_step --
-- Uses up a step and those before it; of two that use it at once the second no longer can.
UPDATE second_factors
SET last_step = %(step)s
WHERE user_id = %(user_id)s AND last_step < %(step)s AND confirmed_at IS NOT NULL;

-- insert_recovery_codes --
-- Codes that take the place of the secret's.
INSERT INTO recovery_codes (user_id, code_hash, mark)
SELECT
    %(user_id)s,
    code_hash,
    %(mark)s::bytea
FROM unnest(%(code_hashes)s::bytea[]) AS made (code_hash);

-- use_recovery_code --
-- Uses up a recovery code.
DELETE FROM recovery_codes
WHERE user_id = %(user_id)s AND code_hash = ANY(%(code_hashes)s::bytea[]);

-- list_sealed --
-- Users' secrets, by user.
SELECT
    user_id,
    sealed_secret
FROM second_factors
WHERE user_id > %(after)s
ORDER BY user_id
LIMIT %(limit)s;

-- replace_seal --
-- Another seal of a secret.
UPDATE second_factors
SET sealed_secret = %(again)s
WHERE user_id = %(user_id)s AND sealed_secret = %(sealed_secret)s;

-- count_codes_of_others --
-- How many recovery codes are hashed with another secret of the service, as far as is known.
SELECT count(*)
FROM recovery_codes
WHERE mark IS DISTINCT FROM %(mark)s::bytea;

-- delete_factor --
-- A user's secret, which they have no more.
DELETE FROM second_factors
WHERE user_id = %(user_id)s;

-- delete_recovery_codes --
-- The recovery codes that belong to it.
DELETE FROM recovery_codes
WHERE user_id = %(user_id)s;
