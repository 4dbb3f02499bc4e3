-- entry_follows --
-- As on one server; each entry and the one before are read on their account's shard.
-- begin sides_looked_at --
WITH looked_at AS MATERIALIZED ( -- noqa: PRS
    SELECT
        covered.movement_id,
        covered.from_sequence,
        covered.to_sequence
    FROM checkpoints AS c
    CROSS JOIN LATERAL unnest(c.movement_ids, c.from_sequences, c.to_sequences)
        AS covered (movement_id, from_sequence, to_sequence)
    WHERE c.number BETWEEN %(first)s AND %(last)s
),

m AS MATERIALIZED (
    SELECT
        movement_id,
        from_account_id,
        to_account_id
    FROM movements
    WHERE movement_id IN (SELECT l.movement_id FROM looked_at AS l)
),

side AS MATERIALIZED (
    SELECT
        both_sides.account_id,
        both_sides.sequence
    FROM looked_at AS l
    INNER JOIN m ON l.movement_id = m.movement_id
    CROSS JOIN LATERAL (
        VALUES (m.from_account_id, l.from_sequence), (m.to_account_id, l.to_sequence)
    ) AS both_sides (account_id, sequence)
    WHERE both_sides.sequence IS NOT NULL
)
-- end sides_looked_at --

SELECT -- noqa: ST06
    e.account_id::text || ' #' || e.sequence AS subject,
    e.balance_after_minor AS stored,
    coalesce(earlier.balance_after_minor, 0) + e.amount_minor AS computed
FROM entries AS e
LEFT JOIN entries AS earlier
    ON e.account_id = earlier.account_id AND e.sequence - 1 = earlier.sequence
WHERE
    (e.account_id, e.sequence) IN (
        SELECT
            side.account_id,
            side.sequence
        FROM side
    )
    AND (
        e.balance_after_minor <> coalesce(earlier.balance_after_minor, 0) + e.amount_minor
        OR e.created_at < earlier.created_at
        OR (e.sequence = 1) <> (earlier.sequence IS NULL)
    )
LIMIT %(limit)s;

-- account_ends_with_entries --
-- As on one server; an account, its entries and holds lie on one shard.
-- include sides_looked_at --

SELECT
    a.account_id::text AS subject,
    (a.balance_minor, a.sequence, a.held_minor)::text AS stored,
    (newest.balance_after_minor, newest.sequence, held.total)::text AS computed
FROM accounts AS a
CROSS JOIN LATERAL (
    SELECT
        e.balance_after_minor,
        e.sequence
    FROM entries AS e
    WHERE e.account_id = a.account_id
    ORDER BY e.sequence DESC
    LIMIT 1
) AS newest
CROSS JOIN LATERAL (
    SELECT coalesce(sum(h.left_minor), 0) AS total
    FROM holds AS h
    WHERE h.account_id = a.account_id AND h.left_minor > 0
) AS held
WHERE
    a.account_id IN (SELECT side.account_id FROM side)
    AND (a.balance_minor, a.sequence, a.held_minor)
    IS DISTINCT FROM (newest.balance_after_minor, newest.sequence, held.total)
LIMIT %(limit)s;
