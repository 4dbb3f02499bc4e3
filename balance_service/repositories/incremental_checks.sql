-- last_run --
-- What the last run of `verify` left of itself, that found nothing and knew of checkpoints.
SELECT
    (value_after ->> 'checkpoint')::bigint AS checkpoint,
    value_after ->> 'checkpoint_hash' AS checkpoint_hash,
    (value_after ->> 'rechecked')::bigint AS rechecked
FROM audit_events
WHERE action = %(verified)s AND value_after ->> 'faults' = '0' AND value_after ? 'checkpoint'
ORDER BY created_at DESC, event_id DESC
LIMIT 1;

-- entry_follows --
-- Entries of some checkpoints that do not follow from the one before on their account.
SELECT -- noqa: ST06
    account_id::text || ' #' || sequence AS subject,
    balance_after_minor AS stored,
    coalesce(before_minor, 0) + amount_minor AS computed
FROM (
    SELECT
        e.account_id,
        e.sequence,
        e.amount_minor,
        e.balance_after_minor,
        e.created_at,
        coalesce(earlier.balance_after_minor, forward.balance_minor) AS before_minor,
        coalesce(earlier.created_at, forward.created_at) AS before_at
    -- begin entries_looked_at --
    FROM (
        SELECT
            m.from_account_id,
            m.to_account_id,
            covered.from_sequence,
            covered.to_sequence
        FROM checkpoints AS c
        CROSS JOIN LATERAL unnest(c.movement_ids, c.from_sequences, c.to_sequences)
            AS covered (movement_id, from_sequence, to_sequence)
        INNER JOIN movements AS m ON covered.movement_id = m.movement_id
        WHERE c.number BETWEEN %(first)s AND %(last)s
    ) AS looked_at
    CROSS JOIN LATERAL (
        VALUES
        (looked_at.from_account_id, looked_at.from_sequence),
        (looked_at.to_account_id, looked_at.to_sequence)
    ) AS side (account_id, sequence)
    -- end entries_looked_at --
    INNER JOIN entries AS e ON side.account_id = e.account_id AND side.sequence = e.sequence
    LEFT JOIN entries AS earlier
        ON side.account_id = earlier.account_id AND side.sequence - 1 = earlier.sequence
    LEFT JOIN brought_forward AS forward
        ON side.account_id = forward.account_id AND side.sequence - 1 = forward.sequence
) AS found
WHERE
    balance_after_minor <> coalesce(before_minor, 0) + amount_minor
    OR created_at < before_at
    OR (sequence = 1) <> (before_at IS NULL)
LIMIT %(limit)s;

-- account_ends_with_entries --
-- Accounts of some checkpoints that are not as their last entries and open holds leave them.
SELECT
    a.account_id::text AS subject,
    (a.balance_minor, a.sequence, a.held_minor)::text AS stored,
    (newest.balance_after_minor, newest.sequence, held.total)::text AS computed
FROM (
    SELECT DISTINCT account_id
    -- include entries_looked_at --
    WHERE sequence IS NOT NULL
) AS touched
INNER JOIN accounts AS a ON touched.account_id = a.account_id
CROSS JOIN LATERAL (
    SELECT
        e.balance_after_minor,
        e.sequence
    FROM (
        SELECT
            account_id,
            sequence,
            balance_after_minor
        FROM entries
        UNION ALL
        SELECT
            account_id,
            sequence,
            balance_minor
        FROM brought_forward
    ) AS e
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
    (a.balance_minor, a.sequence, a.held_minor)
    IS DISTINCT FROM (newest.balance_after_minor, newest.sequence, held.total)
LIMIT %(limit)s;
