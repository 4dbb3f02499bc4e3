-- By event_id. Who signed in, who was kept out, and what was done with more than a caller's own
-- rights: written in the transaction of the act, never changed.
CREATE TABLE audit_events (
    event_id uuid PRIMARY KEY,
    -- By Postgres's clock.
    created_at timestamptz NOT NULL,
    action text NOT NULL,
    -- Why it was refused, a reason of the contract; empty if it was done.
    refusal text NOT NULL,
    -- Who acted: user:<id>, service:<client id> or operator:<login>; empty for nobody known.
    actor text NOT NULL,
    session_id uuid,
    network text NOT NULL,
    request_id text NOT NULL,
    target text NOT NULL,
    value_before jsonb NOT NULL,
    value_after jsonb NOT NULL,
    reason text NOT NULL
);

CREATE INDEX audit_events_by_time ON audit_events (created_at, event_id);
CREATE INDEX audit_events_by_actor ON audit_events (actor, created_at, event_id);
CREATE INDEX audit_events_by_target ON audit_events (target, created_at, event_id);
CREATE INDEX audit_events_by_action ON audit_events (action, created_at, event_id);

-- By event_id, beside audit_events. What is not sealed yet, with the transaction that wrote it:
-- none that began before it may still be under way when it is sealed.
CREATE TABLE audit_unsealed (
    event_id uuid PRIMARY KEY,
    transaction_id xid8 NOT NULL
);

-- By sequence, from 1 without gaps. The chain: each hash covers the one before and an event.
CREATE TABLE audit_seals (
    sequence bigint PRIMARY KEY,
    event_id uuid NOT NULL,
    hash bytea NOT NULL
);

CREATE INDEX audit_seals_by_event ON audit_seals (event_id);

GRANT SELECT, INSERT ON audit_events, audit_seals TO balance_service;
GRANT SELECT, INSERT, DELETE ON audit_unsealed TO balance_service;

-- By approval_id, which follows from the requester and their request id. What one operator asked
-- for and another decides.
CREATE TABLE approvals (
    approval_id uuid PRIMARY KEY,
    method text NOT NULL,
    -- The call's message, without its request id.
    request bytea NOT NULL,
    request_id uuid,
    requester text NOT NULL,
    target text NOT NULL,
    value_before jsonb NOT NULL,
    value_after jsonb NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- 1 pending, 2 approved, 3 rejected.
    status smallint NOT NULL DEFAULT 1,
    decider text NOT NULL DEFAULT '',
    decided_at timestamptz,
    decision_reason text NOT NULL DEFAULT '',
    CONSTRAINT approval_status_known CHECK (status BETWEEN 1 AND 3),
    CONSTRAINT approval_decided_by_another CHECK (decider <> requester)
);

CREATE INDEX approvals_by_time ON approvals (created_at, approval_id);

GRANT SELECT, INSERT ON approvals TO balance_service;
GRANT UPDATE (status, decider, decided_at, decision_reason) ON approvals TO balance_service;
