-- balances --
-- Each account's entry is read on its own shard, from its last one back: no search by halves can be
-- sent there.
WITH looked_at AS MATERIALIZED (
    SELECT *
    FROM (
        SELECT
            account_id,
            created_at,
            currency
        FROM accounts
        WHERE account_id > %(after)s
        ORDER BY account_id
        LIMIT %(reach)s
    ) AS looked_at
    WHERE created_at <= %(as_of)s AND (%(currency)s = '' OR currency = %(currency)s)
    ORDER BY account_id
    LIMIT %(limit)s
)

SELECT
    a.account_id,
    a.number,
    a.owner_id,
    a.currency,
    CASE
        WHEN a.changed_at <= %(as_of)s THEN a.balance_minor ELSE coalesce(past.balance_minor, 0)
    END AS balance_minor,
    CASE WHEN a.changed_at <= %(as_of)s THEN a.sequence ELSE coalesce(past.sequence, 0) END
        AS sequence
FROM accounts AS a
LEFT JOIN LATERAL (
    SELECT
        e.sequence,
        e.balance_after_minor AS balance_minor
    FROM entries AS e
    WHERE e.account_id = a.account_id AND e.created_at <= %(as_of)s AND a.changed_at > %(as_of)s
    ORDER BY e.sequence DESC
    LIMIT 1
) AS past ON TRUE
WHERE a.account_id IN (SELECT looked_at.account_id FROM looked_at)
ORDER BY a.account_id;

-- under_way --
-- The transactions that may have dated something: a commit has locked accounts by then, and its
-- number on the coordinator comes later. The lock of the table is kept until all parts are told to
-- commit.
SELECT l.virtualtransaction AS number
FROM pg_locks AS l
WHERE
    l.locktype = 'relation'
    AND l.relation = 'accounts'::regclass
    AND l.database = (
        SELECT d.oid FROM pg_database AS d
        WHERE d.datname = current_database()
    )
    AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
    AND l.granted;

-- hidden --
-- From when to when commits were written whose events have no numbers yet.
SELECT
    min(o.created_at) AS oldest,
    max(o.created_at) AS newest
FROM outbox AS o;
