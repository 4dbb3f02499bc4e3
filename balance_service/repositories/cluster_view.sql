-- snapshot --
-- One snapshot on each server, for the rest of the transaction.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY -- noqa: PRS
;

-- plan_for_whole_tables --
-- As of `verify` on one server, with one connection to each server. It takes the coordinator's
-- snapshot.
SELECT
    set_config('citus.max_adaptive_executor_pool_size', '1', TRUE) AS connections,
    set_config('enable_seqscan', 'on', TRUE) AS scans,
    set_config('work_mem', '64MB', TRUE) AS memory,
    set_config('statement_timeout', '0', TRUE) AS patience,
    set_config('TimeZone', 'UTC', TRUE) AS zone;

-- reach_all_servers --
-- Takes the snapshots of all servers: a row of each group of tables that are beside each other.
SELECT
    (SELECT count(*) FROM (SELECT account_id FROM accounts LIMIT 1) AS one) AS accounts,
    (SELECT count(*) FROM (SELECT movement_id FROM movements LIMIT 1) AS one) AS movements,
    (SELECT count(*) FROM (SELECT reference FROM caller_references LIMIT 1) AS one) AS refs,
    (SELECT count(*) FROM (SELECT value FROM movement_labels LIMIT 1) AS one) AS labels;
