-- event_is_numbered --
-- Rows of the log that do not begin where the one before ends.
SELECT
    subject,
    stored,
    computed
FROM (
    SELECT
        last_sequence,
        size,
        kind,
        'event ' || last_sequence AS subject,
        last_sequence - size AS stored,
        lag(last_sequence) OVER (ORDER BY last_sequence) AS computed,
        cardinality(movement_ids) AS movements
    FROM events
) AS e
WHERE
    stored <> computed
    OR (last_sequence > 0 AND size <> CASE WHEN kind IS NULL THEN movements ELSE 1 END)
LIMIT %(limit)s;

-- movement_has_event --
-- Movements that have no event, or several, and events without a movement. Those dated before the
-- log's oldest row was numbered may have had one that is not kept.
WITH told AS (
    SELECT
        movement_id,
        count(*) AS times
    FROM (
        SELECT unnest(movement_ids) AS movement_id FROM events
        UNION ALL
        SELECT unnest(movement_ids) FROM outbox
    ) AS each
    GROUP BY movement_id
)

SELECT
    coalesce(m.movement_id, t.movement_id)::text AS subject,
    coalesce(t.times, 0) AS stored,
    CASE WHEN m.movement_id IS NULL THEN 0 ELSE 1 END AS computed
FROM movements AS m
FULL JOIN told AS t ON m.movement_id = t.movement_id
WHERE
    m.movement_id IS NULL
    OR t.times > 1
    OR (
        t.times IS NULL
        AND m.created_at > (
            SELECT e.numbered_at
            FROM events AS e
            ORDER BY e.last_sequence
            LIMIT 1
        )
    )
LIMIT %(limit)s;

-- event_has_entries --
-- Events that name other entries than their movements have.
-- begin sides --
WITH sides AS (
    SELECT
        e.last_sequence,
        item.place,
        m.movement_id,
        side.account_id,
        side.sequence
    FROM (
        SELECT
            last_sequence,
            movement_ids,
            from_sequences,
            to_sequences
        FROM events
        UNION ALL
        SELECT
            NULL AS last_sequence,
            movement_ids,
            from_sequences,
            to_sequences
        FROM outbox
    ) AS e
    CROSS JOIN LATERAL unnest(e.movement_ids, e.from_sequences, e.to_sequences)
    WITH ORDINALITY AS item (movement_id, from_sequence, to_sequence, place)
    INNER JOIN movements AS m ON item.movement_id = m.movement_id
    CROSS JOIN LATERAL (
        VALUES (m.from_account_id, item.from_sequence), (m.to_account_id, item.to_sequence)
    ) AS side (account_id, sequence)
    WHERE m.created_at >= %(since)s::timestamptz
)
-- end sides --

SELECT
    subject,
    stored,
    computed
FROM (
    SELECT
        s.sequence AS stored,
        e.sequence AS computed,
        coalesce(s.account_id, e.account_id)::text || ' of '
        || coalesce(s.movement_id, e.movement_id) AS subject
    FROM (
        SELECT *
        FROM sides
        WHERE sequence > 0
    ) AS s
    FULL JOIN (
        SELECT
            account_id,
            sequence,
            movement_id
        FROM entries
        WHERE movement_id IN (SELECT movement_id FROM sides)
    ) AS e
        ON
            s.movement_id = e.movement_id
            AND s.account_id = e.account_id
            AND s.sequence = e.sequence
    WHERE s.movement_id IS NULL OR e.movement_id IS NULL
) AS found
LIMIT %(limit)s;

-- events_follow_each_other --
-- Accounts of whose entries one has an event before that of an earlier one.
-- include sides --

SELECT
    subject,
    stored,
    computed
FROM (
    SELECT
        sequence AS computed,
        account_id || ' #' || sequence AS subject,
        lag(sequence) OVER (PARTITION BY account_id ORDER BY last_sequence, place) AS stored
    FROM sides
    WHERE sequence IS NOT NULL AND last_sequence IS NOT NULL
) AS told
WHERE stored >= computed
LIMIT %(limit)s;
