-- Expands: totals of the ledger by day and by minute, for trial balances of any moment.
--
-- By span and time. What was posted to the accounts of a role in a currency within a span: 1 is a
-- minute, 2 a day of UTC. Users' accounts are one role together, of which `opened` counts those
-- that were opened. Debits and credits are sums of postings, each of at least 0.
CREATE TABLE ledger_totals (
    span smallint NOT NULL,
    starts_at timestamptz NOT NULL,
    role text NOT NULL,
    currency text NOT NULL,
    debit_minor numeric NOT NULL,
    credit_minor numeric NOT NULL,
    entries bigint NOT NULL,
    opened bigint NOT NULL,
    PRIMARY KEY (span, starts_at, role, currency),
    CONSTRAINT total_span_known CHECK (span IN (1, 2)),
    CONSTRAINT total_not_negative CHECK (
        debit_minor >= 0 AND credit_minor >= 0 AND entries >= 0 AND opened >= 0
    )
)
-- A row is added to for as long as its span lasts; room on its page keeps its index as it is.
WITH (fillfactor = 70);

-- One row. Totals hold all events up to a number in the log, of what is dated at or after
-- begins_at; what is dated before is added from the journal, once, and then built is true.
CREATE TABLE totals_progress (
    only_row boolean PRIMARY KEY DEFAULT TRUE,
    followed_sequence bigint NOT NULL,
    begins_at timestamptz NOT NULL,
    built boolean NOT NULL,
    CONSTRAINT totals_progress_is_one_row CHECK (only_row)
);

-- Some seconds ahead: what is numbered already may be dated by a server whose clock was ahead.
INSERT INTO totals_progress (followed_sequence, begins_at, built)
SELECT
    (SELECT max(last_sequence) FROM events) AS followed_sequence,
    CASE
        WHEN EXISTS (SELECT FROM accounts) THEN clock_timestamp() + interval '10 seconds'
        ELSE to_timestamp(0)
    END AS begins_at,
    NOT EXISTS (SELECT FROM accounts) AS built;

GRANT SELECT, INSERT ON ledger_totals TO balance_service;
GRANT UPDATE (debit_minor, credit_minor, entries, opened) ON ledger_totals TO balance_service;
GRANT SELECT, UPDATE (followed_sequence, built) ON totals_progress TO balance_service;
