-- read_horizon --
-- The clock, and then the transactions that may have read it before, as in reports.cluster.sql.
SELECT
    statement_timestamp() AS now,
    ARRAY(
        SELECT l.virtualtransaction
        FROM pg_locks AS l
        WHERE
            l.locktype = 'relation'
            -- begin dating --
            AND l.relation = 'accounts'::regclass
            AND l.database = (
                SELECT d.oid FROM pg_database AS d
                WHERE d.datname = current_database()
            )
            AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
            AND l.granted
            -- end dating --
    ) AS transaction_ids;

-- is_over --
-- Whether some transactions are over.
SELECT NOT EXISTS (
    SELECT
    FROM pg_locks AS l
    WHERE
        l.locktype = 'relation'
        -- include dating --
        AND l.virtualtransaction = ANY(%(transaction_ids)s::text[])
) AS is_over;
