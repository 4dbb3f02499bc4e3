-- sub_accounts_are_counted --
-- Accounts that count sub-accounts, and sub-accounts: a cluster has none.
WITH counted AS MATERIALIZED (
    SELECT
        account_id,
        sub_account_count
    FROM accounts
    WHERE sub_account_count <> 0
    LIMIT %(limit)s
)

SELECT
    c.account_id::text AS subject,
    c.sub_account_count AS stored,
    NULL AS computed
FROM counted AS c
UNION ALL
SELECT
    s.account_id::text AS subject,
    0 AS stored,
    count(*) AS computed
FROM sub_accounts AS s
GROUP BY s.account_id
LIMIT %(limit)s;
