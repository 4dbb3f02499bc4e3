-- Expands: schedules of transfers and purchases, and what became of their occurrences.
--
-- By schedule_id. What is to be carried out, as whom, and when. run_at says when a worker tries the
-- occurrence of next_at; while one does, leased_until says until when it has the schedule for
-- itself.
CREATE TABLE schedules (
    schedule_id uuid PRIMARY KEY,
    principal text NOT NULL,
    account_id uuid NOT NULL,
    kind smallint NOT NULL,
    request bytea NOT NULL,
    description text NOT NULL,
    starts_at timestamptz NOT NULL,
    rule text NOT NULL,
    zone text NOT NULL,
    -- Times of a clock on the wall in the zone: they are no moments.
    -- squawk-ignore prefer-timestamp-tz
    starts_local timestamp,
    -- squawk-ignore prefer-timestamp-tz
    last_local timestamp,
    ends_at timestamptz,
    retry_interval interval,
    retry_lasting interval,
    status smallint NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    next_at timestamptz,
    run_at timestamptz,
    leased_until timestamptz,
    attempts integer NOT NULL,
    CONSTRAINT schedules_kind CHECK (kind IN (3, 4)),
    CONSTRAINT schedules_local_with_rule CHECK (
        (rule = '') = (starts_local IS NULL) AND (rule = '') = (zone = '')
    ),
    CONSTRAINT schedules_retry_is_whole CHECK (
        (retry_interval IS NULL) = (retry_lasting IS NULL)
    ),
    CONSTRAINT schedules_run_needs_occurrence CHECK (run_at IS NULL OR next_at IS NOT NULL)
);

-- What is due, found by the workers every second: schedules that are active, or have money moving.
CREATE INDEX schedules_due ON schedules (run_at) WHERE run_at IS NOT NULL;
CREATE INDEX schedules_by_time ON schedules (created_at, schedule_id);
CREATE INDEX schedules_by_status ON schedules (status, created_at, schedule_id);
CREATE INDEX schedules_by_principal ON schedules (principal, created_at, schedule_id);
CREATE INDEX schedules_by_account ON schedules (account_id, created_at, schedule_id);
-- Counted when another is made.
CREATE INDEX schedules_live ON schedules (principal) WHERE status IN (1, 2);

-- By schedule_id. What became of occurrences; written once the money has moved, or will not.
CREATE TABLE schedule_occurrences (
    schedule_id uuid NOT NULL,
    occurs_at timestamptz NOT NULL,
    outcome smallint NOT NULL,
    reason text NOT NULL,
    movement_id uuid,
    attempts integer NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (schedule_id, occurs_at),
    CONSTRAINT schedule_occurrences_done_have_movements CHECK (
        (outcome = 1) = (movement_id IS NOT NULL) AND (outcome = 1) = (reason = '')
    )
);

CREATE INDEX schedule_occurrences_by_age ON schedule_occurrences (decided_at);

GRANT SELECT, INSERT ON schedules TO balance_service;
GRANT UPDATE (
    request, description, ends_at, retry_interval, retry_lasting, status, version, updated_at,
    next_at, run_at, leased_until, attempts
) ON schedules TO balance_service;
GRANT SELECT, INSERT, DELETE ON schedule_occurrences TO balance_service;
