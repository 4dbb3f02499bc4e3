-- By verification_hash. That a code was sent, to whoever asked: they alone know the id, whose keyed
-- hash the key is. Until now an address had one code (confirmation_codes), which anybody could
-- replace. That table is still written by earlier versions; a later migration drops it.
CREATE TABLE verifications (
    verification_hash bytea PRIMARY KEY,
    email text NOT NULL,
    code_hash bytea NOT NULL,
    -- A keyed hash of the mailbox and the network that asked, which guesses are counted by.
    asker bytea NOT NULL,
    -- Whether somebody had signed in to the mailbox from that network before.
    asker_known boolean NOT NULL,
    guesses smallint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT guesses_limited CHECK (guesses BETWEEN 0 AND 5)
);

-- For whoever has the code and its address alone.
CREATE INDEX verifications_by_code ON verifications (email, code_hash);
CREATE INDEX verifications_by_end ON verifications (expires_at);

-- By key, a keyed hash of what is limited and of whom. One that is full has no row, or an old one.
CREATE TABLE sign_in_quotas (
    key bytea PRIMARY KEY,
    full_at timestamptz NOT NULL
);

CREATE INDEX sign_in_quotas_by_time ON sign_in_quotas (full_at);

-- By asker, as in verifications: from where a mailbox was signed in to.
CREATE TABLE known_askers (
    asker bytea PRIMARY KEY,
    seen_at timestamptz NOT NULL
);

CREATE INDEX known_askers_by_time ON known_askers (seen_at);

-- By user_id. What a user's authenticator knows (TOTP, RFC 6238), sealed with the service's secret;
-- unconfirmed until the user told a code of it.
CREATE TABLE second_factors (
    user_id uuid PRIMARY KEY,
    sealed_secret bytea NOT NULL,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    -- The last step of 30 seconds whose code was used: it and those before it are refused.
    last_step bigint NOT NULL DEFAULT 0
);

-- By user_id. What signs in once instead of an authenticator that is lost; keyed hashes.
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

-- second_factor: whether one is confirmed, and so required. disabled_at: since when they may not
-- sign in.
ALTER TABLE users
ADD COLUMN second_factor boolean NOT NULL DEFAULT FALSE,
ADD COLUMN disabled_at timestamptz;

-- second_factor: whether it was proved in this sign-in. refreshed_at: when its tokens were last
-- exchanged.
ALTER TABLE sessions
ADD COLUMN second_factor boolean NOT NULL DEFAULT FALSE,
ADD COLUMN refreshed_at timestamptz;

GRANT SELECT, INSERT, UPDATE, DELETE ON
verifications, sign_in_quotas, known_askers, second_factors, recovery_codes
TO balance_service;
