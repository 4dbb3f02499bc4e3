-- read_clock --
-- The time by Postgres's clock, which decides what is due.
SELECT clock_timestamp();

-- read_transaction_time --
-- The time by which `claim` decided what is due.
SELECT now();

-- lock_principal --
-- Has those who count the schedules of a principal wait for each other.
SELECT pg_advisory_xact_lock(hashtextextended('schedules of ' || %(principal)s, 0));

-- count_live --
-- How many schedules of a principal are active or paused.
SELECT count(*)
FROM (
    SELECT s.schedule_id
    FROM schedules AS s
    WHERE s.principal = %(principal)s AND s.status IN (1, 2)
    LIMIT %(limit)s
) AS live;

-- insert --
-- A new schedule.
INSERT INTO schedules (
    schedule_id,
    principal,
    account_id,
    kind,
    request,
    description,
    starts_at,
    rule,
    zone,
    starts_local,
    last_local,
    ends_at,
    retry_interval,
    retry_lasting,
    status,
    version,
    created_at,
    updated_at,
    next_at,
    run_at,
    leased_until,
    attempts,
    resumed_at
)
VALUES (
    %(schedule_id)s,
    %(principal)s,
    %(account_id)s,
    %(kind)s,
    %(request)s,
    %(description)s,
    %(starts_at)s,
    %(rule)s,
    %(zone)s,
    %(starts_local)s,
    %(last_local)s,
    %(ends_at)s,
    %(retry_interval)s,
    %(retry_lasting)s,
    %(status)s,
    %(version)s,
    %(created_at)s,
    %(updated_at)s,
    %(next_at)s,
    %(run_at)s,
    %(leased_until)s,
    %(attempts)s,
    %(resumed_at)s
);

-- update --
-- What changes of a locked schedule.
UPDATE schedules
SET
    description = %(description)s,
    ends_at = %(ends_at)s,
    retry_interval = %(retry_interval)s,
    retry_lasting = %(retry_lasting)s,
    status = %(status)s,
    version = %(version)s,
    updated_at = %(updated_at)s,
    next_at = %(next_at)s,
    run_at = %(run_at)s,
    leased_until = %(leased_until)s,
    attempts = %(attempts)s,
    resumed_at = %(resumed_at)s
WHERE schedule_id = %(schedule_id)s;

-- get --
-- A schedule.
SELECT
    -- include columns --
FROM schedules AS s
WHERE s.schedule_id = %(schedule_id)s;

-- lock --
-- A schedule, to change it.
SELECT
    -- include columns --
FROM schedules AS s
WHERE s.schedule_id = %(schedule_id)s
FOR UPDATE;

-- page --
-- A part of all schedules, newest first.
SELECT
    -- include columns --
FROM schedules AS s
WHERE
    TRUE
    -- begin page --
    AND (
        %(after_time)s::timestamptz IS NULL
        OR (s.created_at, s.schedule_id) < (%(after_time)s, %(after_id)s::uuid)
    )
ORDER BY s.created_at DESC, s.schedule_id DESC
LIMIT %(limit)s OFFSET %(skip)s
    -- end page --
;

-- page_of_status --
-- A part of the schedules of a status.
SELECT
    -- include columns --
FROM schedules AS s
WHERE
    TRUE
    -- begin of_status --
    AND s.status = %(status)s
    -- end of_status --
    -- include page --
;

-- page_of_principal --
-- A part of the schedules that a principal made.
SELECT
    -- include columns --
FROM schedules AS s
WHERE
    TRUE
    -- begin of_principal --
    AND s.principal = %(principal)s
    AND (%(status)s::smallint IS NULL OR s.status = %(status)s)
    -- end of_principal --
    -- include page --
;

-- page_of_account --
-- A part of the schedules by which an account pays.
SELECT
    -- include columns --
FROM schedules AS s
WHERE
    TRUE
    -- begin of_account --
    AND s.account_id = %(account_id)s
    AND (%(principal)s::text IS NULL OR s.principal = %(principal)s)
    AND (%(status)s::smallint IS NULL OR s.status = %(status)s)
    -- end of_account --
    -- include page --
;

-- count --
-- How many schedules there are.
SELECT count(*)
FROM schedules;

-- count_of_status --
-- How many schedules of a status there are.
SELECT count(s.schedule_id)
FROM schedules AS s
WHERE
    TRUE
    -- include of_status --
;

-- count_of_principal --
-- How many schedules a principal made.
SELECT count(s.schedule_id)
FROM schedules AS s
WHERE
    TRUE
    -- include of_principal --
;

-- count_of_account --
-- By how many schedules an account pays.
SELECT count(s.schedule_id)
FROM schedules AS s
WHERE
    TRUE
    -- include of_account --
;

-- claim --
-- Takes schedules that are due, for some time.
UPDATE schedules AS s
SET
    run_at = now() + %(lease)s,
    leased_until = now() + %(lease)s
FROM (
    SELECT d.schedule_id
    FROM schedules AS d
    WHERE d.run_at <= now()
    ORDER BY d.run_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) AS due
WHERE s.schedule_id = due.schedule_id
RETURNING
    -- begin columns --
    s.schedule_id,
    s.principal,
    s.account_id,
    s.kind,
    s.request,
    s.description,
    s.starts_at,
    s.rule,
    s.zone,
    s.starts_local,
    s.last_local,
    s.ends_at,
    s.retry_interval,
    s.retry_lasting,
    s.status,
    s.version,
    s.created_at,
    s.updated_at,
    s.next_at,
    s.run_at,
    s.leased_until,
    s.attempts,
    s.resumed_at
    -- end columns --
;

-- add_occurrence --
-- What became of an occurrence, unless that is known: a schedule resumed by a clock that went back
-- may come to it again.
INSERT INTO schedule_occurrences (
    schedule_id, occurs_at, outcome, reason, movement_id, attempts, decided_at
)
VALUES (
    %(schedule_id)s,
    %(occurs_at)s,
    %(outcome)s,
    %(reason)s,
    %(movement_id)s,
    %(attempts)s,
    %(decided_at)s
)
ON CONFLICT (schedule_id, occurs_at) DO NOTHING;

-- occurrences --
-- What became of a schedule's occurrences, newest first.
SELECT
    o.schedule_id,
    o.occurs_at,
    o.outcome,
    o.reason,
    o.movement_id,
    o.attempts,
    o.decided_at
FROM schedule_occurrences AS o
WHERE
    o.schedule_id = %(schedule_id)s
    AND (%(before)s::timestamptz IS NULL OR o.occurs_at < %(before)s)
ORDER BY o.occurs_at DESC
LIMIT %(limit)s OFFSET %(skip)s;

-- count_occurrences --
-- Of how many occurrences of a schedule it is known what became of them.
SELECT count(*)
FROM schedule_occurrences
WHERE schedule_id = %(schedule_id)s;

-- delete_old --
-- What became of occurrences long ago.
DELETE FROM schedule_occurrences
WHERE (schedule_id, occurs_at) IN (
    SELECT
        o.schedule_id,
        o.occurs_at
    FROM schedule_occurrences AS o
    WHERE o.decided_at < clock_timestamp() - %(kept)s::interval
    ORDER BY o.decided_at
    LIMIT %(limit)s
);

-- forget --
-- Cancels all schedules of a principal, and deletes what they say. A movement that is under way is
-- still found and recorded.
UPDATE schedules
SET
    request = '',
    description = '',
    status = CASE WHEN status IN (1, 2) THEN 3 ELSE status END,
    version = version + 1,
    updated_at = clock_timestamp(),
    next_at = CASE WHEN leased_until IS NOT NULL THEN next_at END,
    run_at = CASE WHEN leased_until IS NOT NULL THEN run_at END
WHERE principal = %(principal)s;
