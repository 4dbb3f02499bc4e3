-- Expands: checkpoints of the ledger, and which movements each covers.
--
-- By number, from 1 without gaps. What was signed of a group of movements: the root of a Merkle
-- tree over their leaves, and the hash of the checkpoint before. The sequences are those of the
-- movements' entries, as in events. salt_key keeps what a receipt shows of a movement from telling
-- what it does not show. The row with number 0 stands for the beginning; last_event is the number
-- of the event up to which movements are covered.
CREATE TABLE checkpoints (
    number bigint PRIMARY KEY,
    origin text NOT NULL,
    created_at timestamptz NOT NULL,
    size integer NOT NULL,
    root bytea NOT NULL,
    previous_hash bytea NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL,
    last_event bigint NOT NULL,
    salt_key bytea NOT NULL,
    movement_ids uuid[] NOT NULL,
    from_sequences bigint[] NOT NULL,
    to_sequences bigint[] NOT NULL,
    leaves bytea NOT NULL
);

-- Hashes and ids do not compress, and a receipt reads one part of them.
ALTER TABLE checkpoints ALTER COLUMN movement_ids SET STORAGE EXTERNAL;
ALTER TABLE checkpoints ALTER COLUMN from_sequences SET STORAGE EXTERNAL;
ALTER TABLE checkpoints ALTER COLUMN to_sequences SET STORAGE EXTERNAL;
ALTER TABLE checkpoints ALTER COLUMN leaves SET STORAGE EXTERNAL;

-- By movement_id, beside movements. The checkpoint that covers it; none does twice.
CREATE TABLE covered_movements (
    movement_id uuid PRIMARY KEY,
    number bigint NOT NULL
);

-- One row. Movements that the log of events does not name are covered in the order of their ids:
-- those dated up to until, from after_id on.
CREATE TABLE uncovered_history (
    until timestamptz PRIMARY KEY,
    after_id uuid NOT NULL,
    done boolean NOT NULL
);

INSERT INTO checkpoints (
    number, origin, created_at, size, root, previous_hash, key_id, signature, last_event, salt_key,
    movement_ids, from_sequences, to_sequences, leaves
)
SELECT
    0 AS number,
    '' AS origin,
    clock_timestamp() AS created_at,
    0 AS size,
    '' AS root,
    '' AS previous_hash,
    '' AS key_id,
    '' AS signature,
    last_sequence - size AS last_event,
    '' AS salt_key,
    '{}' AS movement_ids,
    '{}' AS from_sequences,
    '{}' AS to_sequences,
    '' AS leaves
FROM events
ORDER BY last_sequence
LIMIT 1;

INSERT INTO uncovered_history (until, after_id, done)
SELECT
    e.numbered_at AS until,
    '00000000-0000-0000-0000-000000000000' AS after_id,
    e.numbered_at < clock_timestamp() AND NOT EXISTS (SELECT FROM movements) AS done
FROM events AS e
ORDER BY e.last_sequence
LIMIT 1;

GRANT SELECT, INSERT ON checkpoints, covered_movements TO balance_service;
GRANT SELECT ON uncovered_history TO balance_service;
GRANT UPDATE (after_id, done) ON uncovered_history TO balance_service;
