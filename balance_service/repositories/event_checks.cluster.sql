-- told_sides --
-- The entries that a part of the log names, in its order: some thousand events, or one commit. A
-- row without an account says only how far the part goes.
WITH told AS MATERIALIZED ( -- noqa: PRS
    SELECT
        e.last_sequence,
        item.place,
        item.movement_id,
        item.from_sequence,
        item.to_sequence
    FROM events AS e
    LEFT JOIN LATERAL unnest(e.movement_ids, e.from_sequences, e.to_sequences)
    WITH ORDINALITY AS item (movement_id, from_sequence, to_sequence, place) ON TRUE
    WHERE
        e.last_sequence > %(after)s
        AND e.last_sequence <= greatest(
            %(after)s + %(reach)s,
            (
                SELECT min(next.last_sequence)
                FROM events AS next
                WHERE next.last_sequence > %(after)s
            )
        )
),

m AS MATERIALIZED (
    SELECT
        movement_id,
        from_account_id,
        to_account_id
    FROM movements
    WHERE movement_id IN (SELECT told.movement_id FROM told)
)

SELECT
    told.last_sequence,
    side.account_id,
    side.sequence
FROM told
LEFT JOIN m ON told.movement_id = m.movement_id
LEFT JOIN LATERAL (
    VALUES (m.from_account_id, told.from_sequence), (m.to_account_id, told.to_sequence)
) AS side (account_id, sequence) ON side.sequence IS NOT NULL
ORDER BY told.last_sequence, told.place;

-- log_begins --
-- The number before that of the oldest event that is kept.
SELECT coalesce(min(e.last_sequence - e.size), 0) AS before
FROM events AS e;
