-- The role that the service acts as. Whoever runs the migrations owns the tables; the service
-- itself may only do what is granted here, so the journal cannot be rewritten by a bug in it.
DO $$
BEGIN
    CREATE ROLE balance_service NOLOGIN;
EXCEPTION
    -- Roles belong to the whole server: another database may have made it, even just now.
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'balance_service', 'MEMBER') THEN
        EXECUTE format('GRANT balance_service TO %I', current_user);
    END IF;
END
$$;

CREATE TABLE users (
    user_id uuid PRIMARY KEY,
    email text NOT NULL,
    username text NOT NULL,
    first_name text NOT NULL DEFAULT '',
    last_name text NOT NULL DEFAULT '',
    bio text NOT NULL DEFAULT '',
    role smallint NOT NULL DEFAULT 1,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT email_in_lower_case CHECK (email = lower(email) AND length(email) <= 254),
    CONSTRAINT username_well_formed CHECK (username ~ '^[A-Za-z][A-Za-z0-9._-]{2,29}$'),
    CONSTRAINT names_not_too_long CHECK (length(first_name) <= 150 AND length(last_name) <= 150),
    CONSTRAINT bio_not_too_long CHECK (length(bio) <= 200),
    CONSTRAINT role_known CHECK (role BETWEEN 1 AND 3)
);

CREATE UNIQUE INDEX users_email_unique ON users (email);
CREATE UNIQUE INDEX users_username_unique ON users (lower(username));

-- One code an address at a time; a new one replaces it. Only a keyed hash is kept.
CREATE TABLE confirmation_codes (
    email text PRIMARY KEY,
    code_hash bytea NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    sent_at timestamptz NOT NULL,
    -- Codes sent since the start of the hour that limits them.
    sent_count smallint NOT NULL DEFAULT 1,
    counted_since timestamptz NOT NULL,
    CONSTRAINT attempts_limited CHECK (attempts BETWEEN 0 AND 5)
);

-- A sign-in, and the family of refresh tokens that descend from it.
CREATE TABLE sessions (
    session_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE INDEX sessions_by_user ON sessions (user_id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_by_revocation ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);

-- A token's signing key, its private half sealed with the service's secret.
CREATE TABLE signing_keys (
    key_id text PRIMARY KEY,
    sealed_private_key bytea NOT NULL,
    public_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz
);

CREATE TABLE service_principals (
    client_id text PRIMARY KEY,
    secret_hash bytea NOT NULL,
    description text NOT NULL DEFAULT '',
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT client_id_well_formed CHECK (client_id ~ '^[a-z][a-z0-9-]{1,39}$')
);

-- Answers of calls that move no money, for a while; a movement is its own record for ever.
CREATE TABLE idempotency_keys (
    principal text NOT NULL,
    request_id uuid NOT NULL,
    method text NOT NULL,
    request bytea NOT NULL,
    answer bytea,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (principal, request_id)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

GRANT SELECT, INSERT, UPDATE ON users, sessions, signing_keys, service_principals
TO balance_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON confirmation_codes, refresh_tokens, idempotency_keys
TO balance_service;
GRANT DELETE ON sessions TO balance_service;
