-- spent_minor is what was debited on the calendar day of changed_at; it starts again at zero when
-- the account changes on a later day. The version before this one, which may run beside it, does
-- not write it: until the day ends on which its last worker stops, what that worker debits does not
-- count, and what the worker left in the counter from the day before does. The two limits are the
-- account's own; without one the service's holds.
--
-- The constraints are not validated, for that would read the table behind a lock: rows of before
-- satisfy them already.
ALTER TABLE accounts
ADD COLUMN spent_minor bigint NOT NULL DEFAULT 0,
ADD COLUMN debit_limit_minor bigint,
ADD COLUMN daily_limit_minor bigint,
-- Another of the same name takes its place at once.
-- squawk-ignore ban-drop-constraint
DROP CONSTRAINT status_known,
ADD CONSTRAINT status_known CHECK (status BETWEEN 1 AND 4) NOT VALID,
ADD CONSTRAINT spent_not_negative CHECK (spent_minor >= 0) NOT VALID,
ADD CONSTRAINT debit_limits_not_negative CHECK (
    debit_limit_minor >= 0 AND daily_limit_minor >= 0
) NOT VALID;

-- By account_id, beside accounts. What operators changed on them and why, in the order of
-- change_id, never changed.
CREATE TABLE account_changes (
    account_id uuid NOT NULL,
    change_id uuid NOT NULL,
    kind smallint NOT NULL,
    status_before smallint NOT NULL,
    status_after smallint NOT NULL,
    limit_before_minor bigint NOT NULL,
    limit_after_minor bigint NOT NULL,
    debit_limit_before_minor bigint,
    debit_limit_after_minor bigint,
    daily_limit_before_minor bigint,
    daily_limit_after_minor bigint,
    reason text NOT NULL,
    principal text NOT NULL,
    request_id uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, change_id),
    CONSTRAINT change_kind_known CHECK (kind BETWEEN 1 AND 5),
    CONSTRAINT reason_not_too_long CHECK (length(reason) <= 200)
);

GRANT SELECT, INSERT ON account_changes TO balance_service;
