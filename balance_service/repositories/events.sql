-- place --
-- The event with a number, if it is still there: the row of number 0 has an id of its own.
SELECT coalesce(event_id, movement_ids[%(sequence)s::bigint - last_sequence + size]) AS event_id
FROM (
    SELECT *
    FROM events
    WHERE last_sequence >= %(sequence)s
    ORDER BY last_sequence
    LIMIT 1
) AS e
WHERE last_sequence - size < %(sequence)s OR last_sequence = %(sequence)s;

-- oldest --
-- The number before that of the oldest event that is kept.
SELECT last_sequence - size
FROM events
ORDER BY last_sequence
LIMIT 1;

-- newest --
-- The last event.
SELECT
    last_sequence,
    coalesce(event_id, movement_ids[size]) AS event_id
FROM events
ORDER BY last_sequence DESC
LIMIT 1;

-- before_time --
-- The number of the event after which all are that were numbered from a moment on.
SELECT last_sequence - size
FROM events
WHERE numbered_at >= %(moment)s
ORDER BY numbered_at, last_sequence
LIMIT 1;

-- page --
-- Events after a number and up to another. Their movements are looked up by their keys, as in
-- journal.sql. A movement that moves nothing is about the account that it holds money on alone.
SELECT
    -- begin told_columns --
    e.sequence,
    e.subject_id,
    e.details,
    e.created_at,
    e.from_sequence,
    e.to_sequence,
    coalesce(e.event_id, e.movement_id) AS event_id,
    coalesce(
        e.kind,
        CASE
            WHEN m.original_id IS NOT NULL AND m.kind IN (2, 3, 4) THEN %(captured)s::smallint
            ELSE m.kind
        END
    ) AS kind
    -- end told_columns --
FROM (
    -- begin told_items --
    SELECT
        r.event_id,
        r.kind,
        r.subject_id,
        r.details,
        r.created_at,
        item.movement_id,
        item.from_sequence,
        item.to_sequence,
        r.last_sequence - r.size + coalesce(item.place, 1) AS sequence
    FROM (
        SELECT *
        FROM events
        WHERE last_sequence > %(after)s AND last_sequence < %(until)s
        UNION ALL
        (
            SELECT *
            FROM events
            WHERE last_sequence >= %(until)s
            ORDER BY last_sequence
            LIMIT 1
        )
    ) AS r
    LEFT JOIN LATERAL unnest(r.movement_ids, r.from_sequences, r.to_sequences)
    WITH ORDINALITY AS item (movement_id, from_sequence, to_sequence, place) ON TRUE
    WHERE
        r.last_sequence - r.size + coalesce(item.place, 1) > %(after)s
        AND r.last_sequence - r.size + coalesce(item.place, 1) <= %(until)s
    -- end told_items --
) AS e
LEFT JOIN LATERAL (
    SELECT
        movements.kind,
        movements.original_id,
        movements.from_account_id,
        movements.to_account_id
    FROM movements
    WHERE movements.movement_id = e.movement_id
    LIMIT 1
) AS m ON TRUE
-- begin kept --
WHERE
    (
        %(kinds)s::smallint[] IS NULL
        OR coalesce(
            e.kind,
            CASE
                WHEN m.original_id IS NOT NULL AND m.kind IN (2, 3, 4) THEN %(captured)s::smallint
                ELSE m.kind
            END
        ) = ANY(%(kinds)s)
        OR (e.details ->> 'owner_id')::uuid = ANY(%(owner_ids)s::uuid[])
    )
    AND (
        %(account_ids)s::uuid[] IS NULL
        OR e.subject_id = ANY(%(account_ids)s)
        OR (e.details ->> 'account_id')::uuid = ANY(%(account_ids)s)
        OR (e.details ->> 'owner_id')::uuid = ANY(%(owner_ids)s)
        OR (
            m.from_account_id = ANY(%(account_ids)s)
            AND (e.from_sequence IS NOT NULL OR e.to_sequence IS NULL)
        )
        OR (m.to_account_id = ANY(%(account_ids)s) AND e.to_sequence IS NOT NULL)
    )
ORDER BY e.sequence
LIMIT %(limit)s
-- end kept --
;

-- balances --
-- What entries left on their accounts, looked up by their keys.
SELECT
    wanted.account_id,
    wanted.sequence,
    entry.balance_after_minor
FROM unnest(%(account_ids)s::uuid[], %(sequences)s::bigint[]) AS wanted (account_id, sequence)
CROSS JOIN LATERAL (
    SELECT entries.balance_after_minor
    FROM entries
    WHERE entries.account_id = wanted.account_id AND entries.sequence = wanted.sequence
    LIMIT 1 -- on one server --
) AS entry;

-- delete_old --
-- The oldest part of the log, but for its last row, which the number of the next event follows
-- from, and for what no checkpoint covers or what is not in the totals yet.
DELETE FROM events
WHERE last_sequence IN (
    SELECT e.last_sequence
    FROM (
        SELECT *
        FROM events
        WHERE last_sequence < (SELECT max(h.last_sequence) FROM events AS h)
        ORDER BY last_sequence
        LIMIT %(limit)s
    ) AS e
    WHERE
        e.numbered_at < clock_timestamp() - %(kept)s::interval
        AND e.last_sequence <= (
            SELECT c.last_event
            FROM checkpoints AS c
            ORDER BY c.number DESC
            LIMIT 1
        )
        AND e.last_sequence <= (SELECT p.followed_sequence FROM totals_progress AS p)
);
