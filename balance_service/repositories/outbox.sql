-- record --
-- That something happened to a user, in the transaction of the act.
INSERT INTO outbox (event_id, kind, subject_id)
VALUES (%(event_id)s, %(kind)s, %(subject_id)s);

-- record_account --
-- That something happened to an account, which is locked, and how it is since.
INSERT INTO outbox (event_id, kind, subject_id, details)
SELECT
    %(event_id)s,
    %(kind)s,
    account_id AS subject_id,
    -- begin account_details --
    jsonb_build_object(
        'owner_id', owner_id,
        'currency', currency,
        'balance_minor', balance_minor,
        'held_minor', held_minor,
        'limit_minor', limit_minor,
        'status', status,
        'sequence', sequence,
        'debit_limit_minor', debit_limit_minor,
        'daily_limit_minor', daily_limit_minor
    ) AS details
FROM accounts
WHERE account_id = %(account_id)s
-- end account_details --
;

-- record_details --
-- That something happened to what is locked, and how it is since.
INSERT INTO outbox (event_id, kind, subject_id, details)
VALUES (%(event_id)s, %(kind)s, %(subject_id)s, %(details)s);

-- lock --
-- Whether this transaction numbers events; another that does so now is left to it.
SELECT pg_try_advisory_xact_lock(%(lock)s);

-- look --
-- How many commits wait for their numbers, of some, and how many receipts in these do.
SELECT
    count(*) AS commits,
    coalesce(sum(o.waiting), 0)::bigint AS receipts
FROM (
    SELECT waiting
    FROM outbox
    ORDER BY place, transaction_id
    LIMIT %(limit)s
) AS o;

-- number --
-- Gives numbers to what this statement sees in the outbox. Who shares an account with another and
-- comes later in its order can be seen only where the other can: the order of places is theirs.
-- A place beyond the end of the log comes from a dump, and so from before all others. A row whose
-- receipts wait for their own numbers holds up what comes after it, and that is not for long.
WITH seen AS (
    SELECT
        o.place,
        o.transaction_id,
        o.waiting,
        o.place <= (SELECT pg_current_wal_insert_lsn()) AS written_here
    FROM outbox AS o
    ORDER BY written_here, o.place, o.transaction_id
    LIMIT %(limit)s
),

ripe AS (
    SELECT
        r.place,
        r.transaction_id,
        r.written_here
    FROM (
        SELECT
            seen.*,
            max(seen.waiting)
                OVER (ORDER BY seen.written_here, seen.place, seen.transaction_id)
                AS waiting_before
        FROM seen
    ) AS r
    WHERE r.waiting_before = 0
),

-- begin numbered --
taken AS (
    DELETE FROM outbox AS o
    USING ripe
    WHERE o.place = ripe.place AND o.transaction_id = ripe.transaction_id
    RETURNING o.*, ripe.written_here
),

sized AS (
    SELECT
        *,
        greatest(cardinality(movement_ids), 1) AS size
    FROM taken
)

INSERT INTO events (
    last_sequence,
    size,
    movement_ids,
    from_sequences,
    to_sequences,
    event_id,
    kind,
    subject_id,
    details,
    created_at,
    numbered_at
)
SELECT
    (SELECT max(e.last_sequence) FROM events AS e)
    + sum(size) OVER (ORDER BY written_here, place, transaction_id) AS last_sequence,
    size,
    movement_ids,
    from_sequences,
    to_sequences,
    event_id,
    kind,
    subject_id,
    details,
    created_at,
    clock_timestamp() AS numbered_at
FROM sized
-- end numbered --
;
