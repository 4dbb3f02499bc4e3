-- signs_at: from when the key signs; until then it is only published. stops_at: when an operator
-- had it sign no more; else it stops when the next one begins. It verifies for a while after that.
-- retired_at is, as before, when it went out of use altogether.
ALTER TABLE signing_keys
ADD COLUMN signs_at timestamptz NOT NULL DEFAULT now(),
ADD COLUMN stops_at timestamptz;

UPDATE signing_keys SET signs_at = created_at;

-- By client_id. What a sibling service signs in with; keyed hashes. Two may be live, so that one
-- takes the place of another without a gap. service_principals.secret_hash is still written by
-- earlier versions, and for them: it is the newest that is live. A later migration drops it.
CREATE TABLE client_secrets (
    client_id text NOT NULL,
    secret_id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    -- Of the service's secret that hashed it; unset where it is not known.
    mark bytea,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    -- The day (UTC) on which it last signed somebody in.
    used_on date,
    PRIMARY KEY (client_id, secret_id)
);

CREATE INDEX client_secrets_by_revocation ON client_secrets (revoked_at)
WHERE revoked_at IS NOT NULL;

INSERT INTO client_secrets (client_id, secret_id, secret_hash, created_at, revoked_at)
SELECT
    client_id,
    md5(client_id)::uuid AS secret_id,
    secret_hash,
    created_at,
    revoked_at
FROM service_principals;

GRANT SELECT, INSERT ON client_secrets TO balance_service;
GRANT UPDATE (
    secret_hash, mark, expires_at, revoked_at, used_on
) ON client_secrets TO balance_service;

-- mark: as in client_secrets.
ALTER TABLE recovery_codes ADD COLUMN mark bytea;

-- Since when nothing personal is kept of a user; their id stays in the ledger.
ALTER TABLE users ADD COLUMN erased_at timestamptz;

-- mailbox: a keyed hash, by which an erased user's networks are forgotten. Rows of earlier versions
-- have none, and end within 90 days.
ALTER TABLE known_askers ADD COLUMN mailbox bytea;

-- Rows that have a mailbox are as new as this index.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX known_askers_by_mailbox ON known_askers (mailbox) WHERE mailbox IS NOT NULL;

-- By client_id. What a sibling service may sign in by instead of a secret: a certificate that it
-- shows (RFC 8705). name: "sha256:" and its digest, or "uri:" or "dns:" and a name that it is made
-- out to.
CREATE TABLE client_certificates (
    client_id text NOT NULL,
    certificate_id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    used_on date,
    PRIMARY KEY (client_id, certificate_id),
    CONSTRAINT name_well_formed CHECK (name ~ '^(sha256|uri|dns):' AND length(name) <= 300)
);

CREATE INDEX client_certificates_by_revocation ON client_certificates (revoked_at)
WHERE revoked_at IS NOT NULL;

GRANT SELECT, INSERT ON client_certificates TO balance_service;
GRANT UPDATE (revoked_at, used_on) ON client_certificates TO balance_service;
