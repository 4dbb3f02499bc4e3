-- insert_verification --
-- A code that was sent.
INSERT INTO verifications
    (verification_hash, email, code_hash, asker, asker_known, created_at, expires_at)
VALUES
    (
        %(verification_hash)s,
        %(email)s,
        %(code_hash)s,
        %(asker)s,
        %(asker_known)s,
        %(created_at)s,
        %(expires_at)s
    );

-- count_guess --
-- Uses up one guess at a code, whatever comes of it.
UPDATE verifications
SET guesses = guesses + 1
WHERE
    verification_hash = ANY(%(verification_hashes)s::bytea[])
    AND guesses < %(guesses_max)s
    AND expires_at > clock_timestamp()
RETURNING verification_hash, email, code_hash, asker, asker_known, guesses;

-- uncount_guess --
-- Gives a guess back that was right.
UPDATE verifications
SET guesses = greatest(guesses - 1, 0)
WHERE verification_hash = %(verification_hash)s;

-- spend --
-- Ends a verification: of two that spend it at once the second no longer finds it.
DELETE FROM verifications
WHERE verification_hash = %(verification_hash)s;

-- find_by_code --
-- The verification of a code that its address is named with.
SELECT verification_hash
FROM verifications
WHERE
    email = %(email)s
    AND code_hash = ANY(%(code_hashes)s::bytea[])
    AND expires_at > clock_timestamp()
LIMIT 1;

-- find_email --
-- The address of a verification.
SELECT email
FROM verifications
WHERE verification_hash = ANY(%(verification_hashes)s::bytea[]);

-- is_known --
-- Whether somebody signed in to a mailbox from a network lately.
SELECT TRUE
FROM known_askers
WHERE asker = ANY(%(askers)s::bytea[]) AND seen_at > clock_timestamp() - %(known_for)s::interval;

-- remember --
-- That somebody signed in to a mailbox from a network.
INSERT INTO known_askers (asker, mailbox, seen_at)
VALUES (%(asker)s, %(mailbox)s, clock_timestamp())
ON CONFLICT (asker) DO UPDATE SET mailbox = excluded.mailbox, seen_at = excluded.seen_at;

-- forget_codes --
-- Codes that were sent to an address.
DELETE FROM verifications
WHERE email = %(email)s;

-- forget_code_of_earlier_versions --
-- The code that an earlier version sent to an address.
DELETE FROM confirmation_codes
WHERE email = %(email)s;

-- forget_networks --
-- From where a mailbox was signed in to.
DELETE FROM known_askers
WHERE mailbox = ANY(%(mailboxes)s::bytea[]);

-- lock_quotas --
-- When quotas will be full, with their rows locked, which are made if need be, in one order. Each
-- row's time is read after its lock was waited for.
INSERT INTO sign_in_quotas (key, full_at)
SELECT
    key,
    clock_timestamp() AS full_at
FROM unnest(%(keys)s::bytea[]) AS wanted (key)
ORDER BY key
ON CONFLICT (key) DO UPDATE SET key = excluded.key
RETURNING key, full_at, clock_timestamp() AS now;

-- put_quotas --
-- When quotas will be full that are locked.
UPDATE sign_in_quotas AS quota
SET full_at = taken.full_at
FROM unnest(%(keys)s::bytea[], %(full_at)s::timestamptz[]) AS taken (key, full_at)
WHERE quota.key = taken.key;
