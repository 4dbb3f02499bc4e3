-- Expands: limits that end.
--
-- By account_id. Limits that an operator set for a time: when they end, and what holds again then.
-- One whose change is no longer the account's last change of limits is void.
CREATE TABLE limit_ends (
    account_id uuid PRIMARY KEY,
    change_id uuid NOT NULL,
    ends_at timestamptz NOT NULL,
    debit_limit_minor bigint,
    daily_limit_minor bigint,
    principal text NOT NULL
);

-- Found by a worker every few seconds.
CREATE INDEX limit_ends_by_end ON limit_ends (ends_at);

GRANT SELECT, INSERT, DELETE ON limit_ends TO balance_service;
GRANT UPDATE (change_id, ends_at, debit_limit_minor, daily_limit_minor, principal)
ON limit_ends TO balance_service;
