-- Expands: the outbox of events, and the log that they are numbered in.
--
-- By place. What committed transactions changed and has no number yet: one row a commit of
-- movements, or a change of an account or user. place and transaction_id give the order of the rows
-- that share an account: a commit reads where the write-ahead log ends once it has its locks, and
-- whoever had them before has added their commit to it.
--
-- A movement has one event, which its two sequences lead to the balances of: each the number of its
-- entry on the account that it left or reached, null where that is a system account or nothing
-- moved. Any other event has a kind, a subject and perhaps details.
CREATE TABLE outbox (
    place pg_lsn NOT NULL DEFAULT pg_current_wal_insert_lsn(),
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    movement_ids uuid[] NOT NULL DEFAULT '{}',
    from_sequences bigint[] NOT NULL DEFAULT '{}',
    to_sequences bigint[] NOT NULL DEFAULT '{}',
    event_id uuid,
    kind smallint,
    subject_id uuid,
    details jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (place, transaction_id),
    CONSTRAINT outbox_sides_of_movements CHECK (
        cardinality(from_sequences) = cardinality(movement_ids)
        AND cardinality(to_sequences) = cardinality(movement_ids)
    ),
    CONSTRAINT outbox_of_one_sort CHECK ((cardinality(movement_ids) = 0) = (kind IS NOT NULL)),
    CONSTRAINT outbox_subject_of_kind CHECK (
        num_nulls(kind, event_id, subject_id) IN (0, 3)
    )
);

-- By last_sequence. The log of events, numbered from 1 without gaps, once they can be seen by
-- everybody: a row of the outbox, and the number of its last event. The row with number 0 stands
-- for the beginning; its time is from when on no movement lacks an event.
CREATE TABLE events (
    last_sequence bigint PRIMARY KEY,
    size integer NOT NULL,
    movement_ids uuid[] NOT NULL,
    from_sequences bigint[] NOT NULL,
    to_sequences bigint[] NOT NULL,
    event_id uuid,
    kind smallint,
    subject_id uuid,
    details jsonb,
    created_at timestamptz NOT NULL,
    numbered_at timestamptz NOT NULL
);

CREATE INDEX events_by_time ON events (numbered_at, last_sequence);

-- The arrays of a commit stay in their row, as they are, up to about 240 movements; those of larger
-- ones lie beside it. To try to compress ids would cost a commit time for nothing.
ALTER TABLE outbox SET (toast_tuple_target = 8160);
ALTER TABLE outbox ALTER COLUMN movement_ids SET STORAGE EXTERNAL;
ALTER TABLE outbox ALTER COLUMN from_sequences SET STORAGE EXTERNAL;
ALTER TABLE outbox ALTER COLUMN to_sequences SET STORAGE EXTERNAL;
ALTER TABLE events SET (toast_tuple_target = 8160);
ALTER TABLE events ALTER COLUMN movement_ids SET STORAGE EXTERNAL;
ALTER TABLE events ALTER COLUMN from_sequences SET STORAGE EXTERNAL;
ALTER TABLE events ALTER COLUMN to_sequences SET STORAGE EXTERNAL;

-- Workers of earlier versions, which may run beside this one for a while, write no events.
INSERT INTO events (
    last_sequence, size, movement_ids, from_sequences, to_sequences, event_id, created_at,
    numbered_at
)
SELECT
    0 AS last_sequence,
    0 AS size,
    '{}' AS movement_ids,
    '{}' AS from_sequences,
    '{}' AS to_sequences,
    gen_random_uuid() AS event_id,
    clock_timestamp() AS created_at,
    clock_timestamp()
    + CASE WHEN EXISTS (SELECT FROM accounts) THEN interval '1 day' ELSE interval '0' END
        AS numbered_at;

GRANT SELECT, INSERT, DELETE ON outbox, events TO balance_service;
