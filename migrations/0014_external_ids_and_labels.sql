-- By external_id. Decides that a source calls one user, and one account, by an external id, and
-- finds them; what other sources call so is theirs.
CREATE TABLE external_ids (
    external_id text NOT NULL,
    source text NOT NULL,
    kind smallint NOT NULL,
    subject_id uuid NOT NULL,
    PRIMARY KEY (external_id, source, kind),
    CONSTRAINT external_id_not_too_long CHECK (length(external_id) BETWEEN 1 AND 100),
    CONSTRAINT external_source_not_too_long CHECK (length(source) BETWEEN 1 AND 60),
    CONSTRAINT external_kind_known CHECK (kind BETWEEN 1 AND 2)
);

-- By subject_id. The same, for whoever has a user's or an account's id: one of each source.
CREATE TABLE subject_external_ids (
    subject_id uuid NOT NULL,
    source text NOT NULL,
    external_id text NOT NULL,
    PRIMARY KEY (subject_id, source)
);

-- A service may make a user whose address it does not know. Versions before this one, which may run
-- beside it, answer such a user with an empty address.
-- squawk-ignore ban-drop-not-null
ALTER TABLE users ALTER COLUMN email DROP NOT NULL;

GRANT SELECT, INSERT, DELETE ON external_ids, subject_external_ids TO balance_service;

-- By value. Finds movements by pairs of their metadata whose keys may be searched by. Written only
-- for movements that have such a pair, so that others cost nothing.
CREATE TABLE movement_labels (
    value text NOT NULL,
    key text NOT NULL,
    created_at timestamptz NOT NULL,
    movement_id uuid NOT NULL,
    PRIMARY KEY (value, key, created_at, movement_id)
);

GRANT SELECT, INSERT ON movement_labels TO balance_service;
