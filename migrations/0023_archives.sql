-- Expands: which periods of the journal's entries are in files, and what they brought forward.
--
-- By ends_at. One row a period whose entries are in files: all that was booked from starts_at, null
-- for the first, up to ends_at. Each begins where the one before ends, so that the greatest ends_at
-- is the horizon. values_end_at is the latest value date within, null of a period without entries;
-- last_checkpoint the number of the last checkpoint that covers a movement of it.
CREATE TABLE archives (
    ends_at timestamptz PRIMARY KEY,
    starts_at timestamptz,
    values_end_at timestamptz,
    entries bigint NOT NULL,
    entries_minor numeric NOT NULL,
    entries_bytes bigint NOT NULL,
    entries_sha256 bytea NOT NULL,
    system_entries bigint NOT NULL,
    system_entries_minor numeric NOT NULL,
    system_entries_bytes bigint NOT NULL,
    system_entries_sha256 bytea NOT NULL,
    last_checkpoint bigint NOT NULL,
    archived_at timestamptz NOT NULL,
    CONSTRAINT archive_begins_before_it_ends CHECK (starts_at < ends_at),
    CONSTRAINT archive_of_so_many CHECK (entries >= 0 AND system_entries >= 0)
);

-- By account_id, beside accounts. The number of an account's last entry before the horizon, the
-- balance after it, and when it was booked; of accounts that have one.
CREATE TABLE brought_forward (
    account_id uuid PRIMARY KEY,
    sequence bigint NOT NULL,
    balance_minor bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT brought_forward_sequence_positive CHECK (sequence > 0)
);

-- By account_id. The sum and the number of a system account's entries before the horizon.
CREATE TABLE system_brought_forward (
    account_id uuid PRIMARY KEY,
    amount_minor numeric NOT NULL,
    entries bigint NOT NULL,
    CONSTRAINT system_brought_forward_of_entries CHECK (entries > 0)
);

GRANT SELECT ON archives, brought_forward, system_brought_forward TO balance_service;
