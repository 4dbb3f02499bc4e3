-- occurrence_has_movement --
-- Occurrences that do not agree with the movement whose id follows from their schedule and time, as
-- in domain/ids.py; of those that are done, also with the schedule.
WITH dated AS (
    SELECT
        o.schedule_id,
        o.occurs_at,
        o.outcome,
        o.movement_id,
        s.principal,
        s.account_id,
        s.kind,
        lpad(to_hex(o.microseconds / 1000), 12, '0') AS milliseconds,
        lpad(to_hex(o.microseconds / 1000), 12, '0')
        || '70008000'
        || lpad(to_hex(mod(o.microseconds, 1000)), 12, '0') AS sent
    FROM (
        SELECT
            *,
            (extract(EPOCH FROM occurs_at) * 1000000)::bigint AS microseconds
        FROM schedule_occurrences
    ) AS o
    INNER JOIN schedules AS s ON o.schedule_id = s.schedule_id
),

requested AS (
    SELECT
        d.*,
        encode(
            sha256(
                convert_to('schedule/' || schedule_id::text, 'UTF8')
                || '\x00'::bytea
                || decode(sent, 'hex')
            ),
            'hex'
        ) AS digest
    FROM dated AS d
),

expected AS (
    SELECT
        r.*,
        (
            milliseconds
            || '7'
            || substr(digest, 14, 3)
            || translate(substr(digest, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab')
            || substr(digest, 18, 15)
        )::uuid AS request_id
    FROM requested AS r
)

SELECT
    (e.schedule_id, e.occurs_at)::text AS subject,
    (e.outcome, e.movement_id)::text AS stored,
    (m.movement_id, m.kind)::text AS computed
FROM expected AS e
LEFT JOIN movements AS m
    ON
        e.request_id = m.request_id
        AND e.principal = m.principal
        AND e.schedule_id::text = m.metadata ->> 'schedule_id'
WHERE
    CASE
        WHEN e.outcome = 1
            THEN
                (m.movement_id, m.from_account_id, m.kind)
                IS DISTINCT FROM (e.movement_id, e.account_id, e.kind)
        ELSE m.movement_id IS NOT NULL
    END
LIMIT %(limit)s;
