-- get --
-- Accounts by id, oldest first. None has sub-accounts, whose table is on the coordinator.
SELECT
    -- begin profile --
    number,
    created_at,
    -- include account --
    , -- noqa: PRS
    0 AS waiting_minor,
    0 AS waiting
    -- end profile --
FROM accounts
WHERE account_id = ANY(%(account_ids)s)
ORDER BY account_id;

-- clock --
-- The time, before an account is looked at.
SELECT clock_timestamp();

-- lock_if_free --
-- An account, if no commit has it locked.
SELECT account_id
FROM accounts
WHERE account_id = %(account_id)s
FOR SHARE SKIP LOCKED;
