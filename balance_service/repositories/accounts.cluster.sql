-- clock --
-- The time, before an account is looked at.
SELECT clock_timestamp();

-- lock_if_free --
-- An account, if no commit has it locked.
SELECT account_id
FROM accounts
WHERE account_id = %(account_id)s
FOR SHARE SKIP LOCKED;
