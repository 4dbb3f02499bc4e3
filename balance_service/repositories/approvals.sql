-- read_clock --
-- The time by Postgres's clock, which decides what has expired.
SELECT clock_timestamp();

-- insert --
-- A change that waits for approval, unless it does so already.
INSERT INTO approvals (
    approval_id,
    method,
    request,
    request_id,
    requester,
    target,
    value_before,
    value_after,
    reason,
    created_at,
    expires_at
)
VALUES (
    %(approval_id)s,
    %(method)s,
    %(request)s,
    %(request_id)s,
    %(requester)s,
    %(target)s,
    %(before)s,
    %(after)s,
    %(reason)s,
    %(created_at)s,
    %(expires_at)s
)
ON CONFLICT (approval_id) DO NOTHING;

-- lock --
-- A change, for a decision.
SELECT
    -- begin all --
    approval_id,
    method,
    request,
    request_id,
    requester,
    target,
    value_before,
    value_after,
    reason,
    created_at,
    expires_at,
    status,
    decider,
    decided_at,
    decision_reason
    -- end all --
FROM approvals
WHERE approval_id = %(approval_id)s
FOR UPDATE;

-- decide --
-- What was decided about a locked change.
UPDATE approvals
SET
    status = %(status)s,
    decider = %(decider)s,
    decided_at = %(decided_at)s,
    decision_reason = %(reason)s
WHERE approval_id = %(approval_id)s;

-- page --
-- A part of the changes, newest first.
SELECT
    -- include all --
FROM approvals
WHERE
    (
        %(after_time)s::timestamptz IS NULL
        OR (created_at, approval_id) < (%(after_time)s, %(after_id)s::uuid)
    )
    -- begin kept --
    AND (
        %(status)s::smallint IS NULL
        OR CASE WHEN status = 1 AND expires_at <= %(now)s THEN 4 ELSE status END = %(status)s
    )
    -- end kept --
ORDER BY created_at DESC, approval_id DESC
LIMIT %(limit)s OFFSET %(skip)s;

-- count --
-- How many changes a list has, on all its pages.
SELECT count(*)
FROM (
    SELECT approval_id
    FROM approvals
    WHERE
        TRUE
        -- include kept --
) AS listed;
