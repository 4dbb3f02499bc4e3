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

GRANT SELECT, INSERT, UPDATE, DELETE ON verifications, sign_in_quotas, known_askers
TO balance_service;
