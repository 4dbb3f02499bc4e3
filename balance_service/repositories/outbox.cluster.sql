-- account_details --
-- How an account is, for its row in the outbox, which is written apart: of a row that a statement
-- makes from an account's, the account's server would say the place, the transaction and the time.
SELECT -- noqa: PRS
-- include account_details --
;

-- settled --
-- The first rows of the outbox, in their order, up to the first of which a part cannot be seen yet.
WITH waiting AS MATERIALIZED (
    SELECT
        o.*,
        o.place <= (SELECT pg_current_wal_insert_lsn()) AS written_here
    FROM outbox AS o
    ORDER BY written_here, o.place, o.transaction_id
    LIMIT %(limit)s
),

told AS MATERIALIZED (
    SELECT
        w.written_here,
        w.place,
        w.transaction_id,
        item.movement_id,
        item.from_sequence,
        item.to_sequence
    FROM waiting AS w
    CROSS JOIN LATERAL unnest(w.movement_ids, w.from_sequences, w.to_sequences)
        AS item (movement_id, from_sequence, to_sequence)
),

posted AS MATERIALIZED (
    SELECT
        movement_id,
        from_account_id,
        to_account_id
    FROM movements
    WHERE movement_id IN (SELECT told.movement_id FROM told)
),

side AS MATERIALIZED (
    SELECT
        told.written_here,
        told.place,
        told.transaction_id,
        both_sides.account_id,
        both_sides.sequence
    FROM told
    LEFT JOIN posted ON told.movement_id = posted.movement_id
    CROSS JOIN LATERAL (
        VALUES
        (posted.from_account_id, told.from_sequence), (posted.to_account_id, told.to_sequence)
    ) AS both_sides (account_id, sequence)
    WHERE posted.movement_id IS NULL OR both_sides.sequence IS NOT NULL
),

entered AS MATERIALIZED (
    SELECT
        account_id,
        sequence
    FROM entries
    WHERE (account_id, sequence) IN (
        SELECT
            side.account_id,
            side.sequence
        FROM side
    )
),

opened AS MATERIALIZED (
    SELECT account_id
    FROM accounts
    WHERE account_id IN (
        SELECT w.subject_id FROM waiting AS w
        WHERE w.kind = %(account_opened)s
    )
),

unseen AS MATERIALIZED (
    SELECT
        side.written_here,
        side.place,
        side.transaction_id
    FROM side
    LEFT JOIN entered ON side.account_id = entered.account_id AND side.sequence = entered.sequence
    WHERE entered.sequence IS NULL
    UNION ALL
    SELECT
        w.written_here,
        w.place,
        w.transaction_id
    FROM waiting AS w
    LEFT JOIN opened ON w.subject_id = opened.account_id
    WHERE w.kind = %(account_opened)s AND opened.account_id IS NULL
)

SELECT
    w.place::text AS place,
    w.transaction_id::text AS transaction_id
FROM waiting AS w
WHERE NOT EXISTS (
    SELECT
    FROM unseen AS u
    WHERE
        (u.written_here, u.place, u.transaction_id)
        <= (w.written_here, w.place, w.transaction_id)
);

-- number --
-- Gives numbers to these rows. One that has come to light before them since shares no account with
-- any of them, for then it would have been seen with it.
WITH ripe AS ( -- noqa: PRS
    SELECT
        settled.place,
        settled.transaction_id,
        settled.place <= (SELECT pg_current_wal_insert_lsn()) AS written_here
    FROM unnest(%(places)s::pg_lsn[], %(transaction_ids)s::xid8[])
        AS settled (place, transaction_id)
),

-- include numbered --
;
