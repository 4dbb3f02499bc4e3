-- lock --
-- Whether this transaction makes a checkpoint; another that does so now is left to it.
SELECT pg_try_advisory_xact_lock(%(lock)s);

-- head --
-- The last checkpoint, the event up to which it covers movements, the newest event, since when the
-- first that it does not cover has its number, and the time.
SELECT
    number,
    origin,
    created_at,
    size,
    root,
    previous_hash,
    last_event,
    (
        SELECT last_sequence
        FROM events
        ORDER BY last_sequence DESC
        LIMIT 1
    ) AS newest_event,
    coalesce(
        (
            SELECT numbered_at
            FROM events
            WHERE last_sequence > checkpoints.last_event
            ORDER BY last_sequence
            LIMIT 1
        ),
        clock_timestamp()
    ) AS waiting_since,
    clock_timestamp() AS now
FROM checkpoints
ORDER BY number DESC
LIMIT 1;

-- told_by_events --
-- The movements of the events after a number and up to another, in their order.
SELECT
    coalesce(array_agg(item.movement_id ORDER BY item.sequence), '{}')::text AS movement_ids,
    coalesce(array_agg(item.from_sequence ORDER BY item.sequence), '{}')::text AS from_sequences,
    coalesce(array_agg(item.to_sequence ORDER BY item.sequence), '{}')::text AS to_sequences
FROM (
    SELECT
        told.movement_id,
        told.from_sequence,
        told.to_sequence,
        e.last_sequence - e.size + told.place AS sequence
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
    ) AS e
    CROSS JOIN LATERAL unnest(e.movement_ids, e.from_sequences, e.to_sequences)
    WITH ORDINALITY AS told (movement_id, from_sequence, to_sequence, place)
) AS item
WHERE item.sequence > %(after)s AND item.sequence <= %(until)s;

-- insert --
-- A checkpoint.
INSERT INTO checkpoints (
    number,
    origin,
    created_at,
    size,
    root,
    previous_hash,
    key_id,
    signature,
    last_event,
    salt_key,
    movement_ids,
    from_sequences,
    to_sequences,
    leaves
)
VALUES (
    %(number)s,
    %(origin)s,
    %(created_at)s,
    %(size)s,
    %(root)s,
    %(previous_hash)s,
    %(key_id)s,
    %(signature)s,
    %(last_event)s,
    %(salt_key)s,
    %(movement_ids)s::uuid[],
    %(from_sequences)s::bigint[],
    %(to_sequences)s::bigint[],
    %(leaves)s
);

-- cover --
-- Which movements a checkpoint covers, in the order of the key.
INSERT INTO covered_movements (movement_id, number)
SELECT
    movement_id,
    %(number)s::bigint AS number
FROM unnest(%(movement_ids)s::uuid[]) AS covered (movement_id)
ORDER BY movement_id;

-- signed --
-- A checkpoint with its signature; the last one without a number.
SELECT
    -- include columns --
FROM checkpoints
WHERE number > 0 AND (%(number)s::bigint IS NULL OR number = %(number)s)
ORDER BY number DESC
LIMIT 1;

-- page --
-- Checkpoints before a number, newest first.
SELECT
    -- include columns --
FROM checkpoints
WHERE number > 0 AND (%(after)s::bigint IS NULL OR number < %(after)s)
ORDER BY number DESC
LIMIT %(limit)s OFFSET %(skip)s;

-- page_from_oldest --
-- Checkpoints after a number, oldest first.
SELECT
    -- include columns --
FROM checkpoints
WHERE number > coalesce(%(after)s::bigint, 0)
ORDER BY number
LIMIT %(limit)s OFFSET %(skip)s;

-- part --
-- Checkpoints from a number on, with what they cover.
SELECT
    movement_ids,
    leaves,
    -- begin columns --
    number,
    origin,
    created_at,
    size,
    root,
    previous_hash,
    key_id,
    signature
    -- end columns --
FROM checkpoints
WHERE number >= %(first)s AND number <= %(last)s
ORDER BY number;

-- history --
-- How far the movements are covered that the log of events does not name. Nothing before all that
-- it names is covered which is dated as they are: its last event that is covered was numbered well
-- after that.
SELECT
    h.until,
    h.after_id
FROM uncovered_history AS h
WHERE
    NOT h.done
    AND h.until < clock_timestamp() - %(margin)s::interval
    AND (
        SELECT e.numbered_at > h.until + %(margin)s::interval OR e.last_sequence = %(last_event)s
        FROM events AS e
        WHERE e.last_sequence >= %(last_event)s
        ORDER BY e.last_sequence
        LIMIT 1
    );

-- told_by_journal --
-- Movements of the history that are not covered, in the order of their ids, from an id on. Where
-- the entries of one begin on an account is sought by halves: entries are dated in their order, and
-- those of one commit share their date.
WITH RECURSIVE part AS MATERIALIZED (
    SELECT
        movement_id,
        from_account_id,
        to_account_id,
        created_at
    FROM movements
    WHERE movement_id > %(after_id)s
    ORDER BY movement_id
    LIMIT %(limit)s
),

missing AS MATERIALIZED (
    SELECT *
    FROM part
    WHERE
        created_at <= %(until)s
        AND NOT EXISTS (
            SELECT FROM covered_movements AS c
            WHERE c.movement_id = part.movement_id
        )
),

side AS MATERIALIZED (
    SELECT
        missing.movement_id,
        missing.created_at,
        both_sides.leaves,
        both_sides.account_id,
        coalesce((
            SELECT sequence
            FROM entries
            WHERE entries.account_id = both_sides.account_id
            ORDER BY sequence DESC
            LIMIT 1
        ), 0) AS last_sequence
    FROM missing
    CROSS JOIN LATERAL (
        VALUES (TRUE, missing.from_account_id), (FALSE, missing.to_account_id)
    ) AS both_sides (leaves, account_id)
),

search AS (
    SELECT
        *,
        1::bigint AS low,
        last_sequence + 1 AS high
    FROM side
    WHERE last_sequence > 0
    UNION ALL
    SELECT
        s.movement_id,
        s.created_at,
        s.leaves,
        s.account_id,
        s.last_sequence,
        CASE WHEN middle.created_at < s.created_at THEN middle.sequence + 1 ELSE s.low END AS low,
        CASE WHEN middle.created_at < s.created_at THEN s.high ELSE middle.sequence END AS high
    FROM search AS s
    CROSS JOIN LATERAL (
        SELECT
            entries.sequence,
            entries.created_at
        FROM entries
        WHERE entries.account_id = s.account_id AND entries.sequence = (s.low + s.high) / 2
        LIMIT 1
    ) AS middle
    WHERE s.low < s.high
),

found AS (
    SELECT
        s.movement_id,
        max(entry.sequence) FILTER (WHERE s.leaves) AS from_sequence,
        max(entry.sequence) FILTER (WHERE NOT s.leaves) AS to_sequence
    FROM search AS s
    CROSS JOIN LATERAL (
        SELECT
            near.movement_id,
            near.sequence
        FROM (
            SELECT
                entries.movement_id,
                entries.sequence
            FROM entries
            WHERE entries.account_id = s.account_id AND entries.sequence >= s.low
            ORDER BY entries.sequence
            LIMIT %(commit_entries_max)s
        ) AS near
        WHERE near.movement_id = s.movement_id
    ) AS entry
    WHERE s.low = s.high
    GROUP BY s.movement_id
)

SELECT
    (
        SELECT movement_id
        FROM part
        ORDER BY movement_id DESC
        LIMIT 1
    ) AS last_id,
    count(m.movement_id) AS size,
    coalesce(array_agg(m.movement_id ORDER BY m.movement_id), '{}')::text AS movement_ids,
    coalesce(array_agg(f.from_sequence ORDER BY m.movement_id), '{}')::text AS from_sequences,
    coalesce(array_agg(f.to_sequence ORDER BY m.movement_id), '{}')::text AS to_sequences
FROM missing AS m
LEFT JOIN found AS f ON m.movement_id = f.movement_id;

-- went_on --
-- How far the history is covered.
UPDATE uncovered_history
SET after_id = coalesce(%(after_id)s::uuid, after_id), done = %(done)s
WHERE until = %(until)s;
