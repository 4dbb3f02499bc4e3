-- Expands: sub-accounts, which take an account's receipts side by side.
--
-- How many sub-accounts an account has. While it has any, whoever changes its money or its rules
-- holds the locks of all of them, and has numbered what was waiting.
ALTER TABLE accounts ADD COLUMN sub_account_count smallint NOT NULL DEFAULT 0;

-- By account_id, beside accounts. What a commit locks that only adds to an account, and what waits
-- there to be numbered on the account. fillfactor as of accounts.
CREATE TABLE sub_accounts (
    account_id uuid NOT NULL,
    place smallint NOT NULL,
    received_minor bigint NOT NULL DEFAULT 0,
    receipts bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, place),
    CONSTRAINT sub_account_received_not_negative CHECK (received_minor >= 0),
    CONSTRAINT sub_account_receipts_not_negative CHECK (receipts >= 0)
) WITH (fillfactor = 70);

-- By account_id, beside accounts. Entries that wait for their numbers: one row for what a commit
-- adds to an account, with the place and the transaction of its row in the outbox, and where there
-- each movement stands.
CREATE TABLE waiting_receipts (
    account_id uuid NOT NULL,
    place pg_lsn NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    sub_account smallint NOT NULL,
    ordinals bigint[] NOT NULL,
    movement_ids uuid[] NOT NULL,
    kinds smallint[] NOT NULL,
    amounts_minor bigint[] NOT NULL,
    counterparty_ids uuid[] NOT NULL,
    effective_at timestamptz[] NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, place, transaction_id)
);

-- How many accounts have receipts of this row that wait; until none has, it gets no number. Their
-- place in to_sequences is 0.
ALTER TABLE outbox ADD COLUMN waiting smallint NOT NULL DEFAULT 0;

-- The time of the last receipt that was given one, in microseconds: no rollback takes it back, so
-- that of two receipts, the one with the later place is never dated earlier, whatever the clock
-- does.
CREATE SEQUENCE receipts_clock AS bigint;

-- The time and the place of a commit's receipts. One commit at a time has its turn: the lock is
-- given back at once, with the block that took it, so that it outlives neither an error nor a
-- commit. The place is read last: it is behind what `setval` has just added to the log, and so
-- behind the place of every earlier turn.
CREATE FUNCTION receipt_turn(account_ids uuid[], OUT now timestamptz, OUT place pg_lsn)
LANGUAGE plpgsql AS $$
DECLARE
    last_changed bigint := (
        SELECT (extract(EPOCH FROM max(a.changed_at)) * 1000000)::bigint
        FROM accounts AS a
        WHERE a.account_id = ANY(account_ids)
    );
    moment bigint;
BEGIN
    BEGIN
        PERFORM pg_advisory_xact_lock(32199624922591348);
        SELECT setval('receipts_clock', greatest(
            c.last_value, last_changed, (extract(EPOCH FROM clock_timestamp()) * 1000000)::bigint
        ))
        INTO moment
        FROM receipts_clock AS c;
        place := pg_current_wal_insert_lsn();
        RAISE EXCEPTION USING ERRCODE = 'TURNS';
    EXCEPTION WHEN SQLSTATE 'TURNS' THEN
        now := timestamptz 'epoch' + moment * interval '1 microsecond';
    END;
END;
$$;

GRANT SELECT, INSERT, DELETE ON sub_accounts, waiting_receipts TO balance_service;
GRANT UPDATE (received_minor, receipts) ON sub_accounts TO balance_service;
GRANT UPDATE (sub_account_count) ON accounts TO balance_service;
GRANT UPDATE (to_sequences, waiting) ON outbox TO balance_service;
GRANT SELECT, UPDATE ON SEQUENCE receipts_clock TO balance_service;
