-- watch --
-- What operators watch: all of it found by index, or among what is not sealed yet, which is little.
WITH unsealed AS (
    SELECT e.created_at
    FROM (
        SELECT u.event_id
        FROM audit_unsealed AS u
        LIMIT 1000
    ) AS waiting
    INNER JOIN audit_events AS e ON waiting.event_id = e.event_id
),

sealed AS (
    SELECT e.created_at
    FROM audit_seals AS s
    INNER JOIN audit_events AS e ON s.event_id = e.event_id
    ORDER BY s.sequence DESC
    LIMIT 1
),

unnumbered AS (
    SELECT
        o.created_at,
        o.waiting
    FROM outbox AS o
    ORDER BY o.place, o.transaction_id
    LIMIT 1000
),

received AS (
    SELECT cardinality(w.movement_ids) AS receipts
    FROM waiting_receipts AS w
    ORDER BY w.account_id, w.place, w.transaction_id
    LIMIT 1000
),

heard AS (
    SELECT
        w.failing_since,
        (
            SELECT d.next_attempt_at
            FROM webhook_deliveries AS d
            WHERE d.endpoint_id = w.endpoint_id AND d.state = 1
            ORDER BY d.next_attempt_at
            LIMIT 1
        ) AS due_at
    FROM webhook_endpoints AS w
    WHERE NOT w.disabled AND w.deleted_at IS NULL
    LIMIT 1000
),

dead AS (
    SELECT d.event_id
    FROM webhook_deliveries AS d
    WHERE d.state = 3
    LIMIT 1000
),

covered AS (
    SELECT
        c.number,
        c.last_event,
        c.created_at
    FROM checkpoints AS c
    ORDER BY c.number DESC
    LIMIT 1
),

verified AS (
    SELECT
        e.created_at,
        e.value_after
    FROM audit_events AS e
    WHERE e.action = %(verified)s
    ORDER BY e.created_at DESC, e.event_id DESC
    LIMIT 1
),

partitioned AS (
    SELECT
        i.inhparent,
        max(
            (regexp_match(
                pg_get_expr(c.relpartbound, c.oid), 'TO \(''([-0-9]{10} [^'']+)''\)$'
            ))[1]::timestamptz
        ) AS ends_at
    FROM pg_inherits AS i
    INNER JOIN pg_class AS c ON i.inhrelid = c.oid
    WHERE i.inhparent = ANY(ARRAY[to_regclass('entries'), to_regclass('system_entries')])
    GROUP BY i.inhparent
)

SELECT
    (
        SELECT count(*)
        FROM unsealed
    ) AS unsealed,
    (
        SELECT greatest(coalesce(extract(EPOCH FROM now() - min(created_at)), 0), 0)::float8
        FROM unsealed
    ) AS oldest_unsealed_seconds,
    (
        SELECT extract(EPOCH FROM now() - created_at)::float8
        FROM sealed
    ) AS last_sealed_seconds,
    (
        SELECT count(*)
        FROM unnumbered
    ) AS unnumbered,
    (
        SELECT greatest(coalesce(extract(EPOCH FROM now() - min(created_at)), 0), 0)::float8
        FROM unnumbered
    ) AS oldest_unnumbered_seconds,
    (
        SELECT coalesce(sum(receipts), 0)
        FROM received
    ) AS waiting_receipts,
    (
        SELECT greatest(coalesce(extract(EPOCH FROM now() - min(created_at)), 0), 0)::float8
        FROM unnumbered
        WHERE waiting > 0
    ) AS oldest_waiting_seconds,
    (
        SELECT greatest(coalesce(extract(EPOCH FROM now() - min(due_at)), 0), 0)::float8
        FROM heard
    ) AS webhook_due_seconds,
    (
        SELECT greatest(coalesce(extract(EPOCH FROM now() - min(failing_since)), 0), 0)::float8
        FROM heard
    ) AS webhook_failing_seconds,
    (
        SELECT count(*)
        FROM dead
    ) AS webhook_dead,
    (
        SELECT
            (SELECT max(e.last_sequence) FROM events AS e)
            - p.followed_sequence
        FROM totals_progress AS p
    ) AS uncounted,
    (
        SELECT e.last_sequence - covered.last_event
        FROM covered
        CROSS JOIN events AS e
        ORDER BY e.last_sequence DESC
        LIMIT 1
    ) AS uncovered,
    coalesce((
        SELECT greatest(extract(EPOCH FROM now() - e.numbered_at), 0)::float8
        FROM events AS e
        WHERE e.last_sequence > (SELECT last_event FROM covered)
        ORDER BY e.last_sequence
        LIMIT 1
    ), 0) AS oldest_uncovered_seconds,
    (
        SELECT extract(EPOCH FROM now() - created_at)::float8
        FROM covered
        WHERE number > 0
    ) AS checkpoint_seconds,
    (
        SELECT greatest(coalesce(extract(EPOCH FROM now() - min(run_at)), 0), 0)::float8
        FROM schedules
        WHERE run_at IS NOT NULL
    ) AS oldest_due_seconds,
    (
        SELECT extract(EPOCH FROM now() - created_at)::float8
        FROM verified
    ) AS verified_seconds,
    (
        SELECT value_after
        FROM verified
    ) AS verified,
    (
        SELECT count(*)
        FROM partitioned
        WHERE (ends_at < now() + %(due_before)s::interval) IS NOT FALSE
    ) AS partitions_due;

-- is_read_only --
-- Whether nothing can be written, as on a standby.
SELECT current_setting('transaction_read_only') = 'on';
