-- Expands: webhooks, and exporters of events.
--
-- By endpoint_id. Where events are sent to. place_sequence and place_event_id say how far it has
-- come in the log of events; lease and leased_until, which worker sends to it now. One that was
-- deleted has its row until its deliveries are gone.
CREATE TABLE webhook_endpoints (
    endpoint_id uuid PRIMARY KEY,
    owner text NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    types smallint[] NOT NULL,
    account_ids uuid[] NOT NULL,
    disabled boolean NOT NULL,
    disabled_reason smallint NOT NULL,
    secret bytea NOT NULL,
    secret_at timestamptz NOT NULL,
    old_secret bytea,
    old_secret_until timestamptz,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    place_sequence bigint NOT NULL,
    place_event_id uuid NOT NULL,
    failures integer NOT NULL,
    failing_since timestamptz,
    rests_until timestamptz NOT NULL,
    lease uuid,
    leased_until timestamptz NOT NULL,
    deleted_at timestamptz
);

CREATE INDEX webhook_endpoints_by_time ON webhook_endpoints (created_at, endpoint_id)
WHERE deleted_at IS NULL;
CREATE INDEX webhook_endpoints_by_owner ON webhook_endpoints (owner, created_at, endpoint_id)
WHERE deleted_at IS NULL;
CREATE INDEX webhook_endpoints_by_lease ON webhook_endpoints (leased_until)
WHERE NOT disabled AND deleted_at IS NULL;
CREATE INDEX webhook_endpoints_deleted ON webhook_endpoints (deleted_at)
WHERE deleted_at IS NOT NULL;

-- By endpoint_id. An event that is to be sent to an endpoint, or was. Its content is in the log of
-- events, under its number; a test event has neither number nor kind.
CREATE TABLE webhook_deliveries (
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    sequence bigint,
    kind smallint,
    state smallint NOT NULL,
    attempts integer NOT NULL,
    http_status smallint NOT NULL,
    error text NOT NULL,
    created_at timestamptz NOT NULL,
    attempted_at timestamptz,
    next_attempt_at timestamptz,
    PRIMARY KEY (endpoint_id, event_id),
    CONSTRAINT webhook_deliveries_pending CHECK ((state = 1) = (next_attempt_at IS NOT NULL)),
    CONSTRAINT webhook_deliveries_of_event CHECK ((sequence IS NULL) = (kind IS NULL))
);

CREATE INDEX webhook_deliveries_by_time
ON webhook_deliveries (endpoint_id, created_at, event_id);

-- What a worker sends next.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at, sequence)
WHERE state = 1;

-- What is deleted after a while, and what is dead.
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (state, attempted_at)
WHERE state <> 1;

GRANT SELECT, INSERT, DELETE ON webhook_endpoints, webhook_deliveries TO balance_service;
GRANT UPDATE (
    url, description, types, account_ids, disabled, disabled_reason, secret, secret_at, old_secret,
    old_secret_until, version, updated_at, place_sequence, place_event_id, failures, failing_since,
    rests_until, lease, leased_until, deleted_at
) ON webhook_endpoints TO balance_service;
GRANT UPDATE (
    state, attempts, http_status, error, attempted_at, next_attempt_at
) ON webhook_deliveries TO balance_service;

-- By name. How far each exporter of events has come in the log, and which process of it works now.
CREATE TABLE event_exporters (
    name text PRIMARY KEY,
    place_sequence bigint NOT NULL,
    place_event_id uuid NOT NULL,
    lease uuid,
    leased_until timestamptz NOT NULL
);

GRANT SELECT, INSERT ON event_exporters TO balance_service;
GRANT UPDATE (place_sequence, place_event_id, lease, leased_until)
ON event_exporters TO balance_service;
