-- oldest --
-- The log's oldest row: the events that it has were numbered after those that are not kept.
SELECT
    e.numbered_at,
    e.last_sequence - e.size AS before
FROM events AS e
ORDER BY e.last_sequence
LIMIT 1;

-- waiting --
-- Something that was written before a moment and has no number yet.
SELECT o.created_at
FROM outbox AS o
WHERE o.created_at < %(moment)s
LIMIT 1;

-- part --
-- Where a part of the log ends whose last commit begins before a number, some thousand events
-- later: its last event's number, when the last was written, and before which number it begins.
SELECT
    max(e.last_sequence) AS last_sequence,
    max(e.created_at) AS written_at,
    min(e.last_sequence - e.size) AS before
FROM events AS e
WHERE
    e.last_sequence > %(after)s
    AND e.last_sequence <= %(until)s::bigint + %(commit_max)s
    AND e.last_sequence - e.size < %(until)s;

-- of_log --
-- The sides of the movements of a part of the log that are dated within a period.
WITH moved AS (
    SELECT
        e.last_sequence,
        item.place,
        item.from_sequence,
        item.to_sequence,
        m.movement_id,
        m.kind,
        m.created_at,
        m.currency,
        m.description,
        m.from_account_id,
        m.to_account_id
    FROM events AS e
    CROSS JOIN LATERAL unnest(e.movement_ids, e.from_sequences, e.to_sequences)
    WITH ORDINALITY AS item (movement_id, from_sequence, to_sequence, place)
    CROSS JOIN LATERAL (
        SELECT *
        FROM movements
        WHERE movements.movement_id = item.movement_id
        LIMIT 1
    ) AS m
    WHERE
        e.last_sequence > %(after)s
        AND e.last_sequence <= %(until)s
        AND m.created_at >= %(since)s
        AND m.created_at < %(before)s
)

SELECT
    moved.movement_id,
    moved.kind,
    moved.created_at,
    moved.currency,
    moved.description,
    side.role,
    side.number,
    side.currency AS own_currency,
    side.amount_minor,
    side.opening_minor
FROM moved
CROSS JOIN LATERAL (
    SELECT
        CASE entry.account_id WHEN moved.from_account_id THEN 1 ELSE 3 END AS place,
        'users' AS role,
        account.number,
        account.currency,
        entry.amount_minor,
        CASE
            WHEN previous.created_at < %(since)s
                THEN entry.balance_after_minor - entry.amount_minor
        END AS opening_minor
    FROM (
        VALUES
        (moved.from_account_id, moved.from_sequence),
        (moved.to_account_id, moved.to_sequence)
    ) AS key (account_id, sequence)
    CROSS JOIN LATERAL (
        SELECT *
        FROM entries
        WHERE entries.account_id = key.account_id AND entries.sequence = key.sequence
        LIMIT 1
    ) AS entry
    CROSS JOIN LATERAL (
        SELECT
            accounts.number,
            accounts.currency
        FROM accounts
        WHERE accounts.account_id = entry.account_id
        LIMIT 1
    ) AS account
    -- begin before --
    LEFT JOIN LATERAL (
        SELECT e.created_at
        FROM entries AS e
        WHERE e.account_id = entry.account_id AND e.sequence = entry.sequence - 1
        UNION ALL
        SELECT b.created_at
        FROM brought_forward AS b
        WHERE b.account_id = entry.account_id AND b.sequence = entry.sequence - 1
        LIMIT 1 -- on one server --
    ) AS previous ON TRUE
    -- end before --
    UNION ALL
    SELECT
        2 AS place,
        system.role,
        NULL AS number,
        system.currency,
        entry.amount_minor,
        NULL AS opening_minor
    FROM (
        SELECT
            s.account_id,
            s.amount_minor
        FROM system_entries AS s
        WHERE s.movement_id = moved.movement_id
        LIMIT 10
    ) AS entry
    INNER JOIN unnest(
        %(system_ids)s::uuid[],
        %(system_roles)s::text[],
        %(system_currencies)s::text[]
    ) AS system (account_id, role, currency) ON entry.account_id = system.account_id
) AS side
ORDER BY moved.last_sequence, moved.place, side.place, side.role, side.currency;

-- of_journal --
-- The same from the journal itself, by time: it reads all entries, and takes its time.
WITH system AS (
    SELECT *
    FROM unnest(
        %(system_ids)s::uuid[],
        %(system_roles)s::text[],
        %(system_currencies)s::text[]
    ) AS s (account_id, role, currency)
)

SELECT
    side.movement_id,
    m.kind,
    m.created_at,
    m.currency,
    m.description,
    side.role,
    side.number,
    side.own_currency,
    side.amount_minor,
    side.opening_minor
FROM (
    SELECT
        entry.movement_id,
        'users' AS role,
        account.number,
        account.currency AS own_currency,
        entry.amount_minor,
        CASE
            WHEN previous.created_at < %(since)s -- noqa: RF01
                THEN entry.balance_after_minor - entry.amount_minor
        END AS opening_minor
    FROM entries AS entry
    CROSS JOIN LATERAL (
        SELECT
            accounts.number,
            accounts.currency
        FROM accounts
        WHERE accounts.account_id = entry.account_id
        LIMIT 1 -- on one server --
    ) AS account
    -- include before --
    WHERE entry.created_at >= %(since)s AND entry.created_at < %(before)s
    UNION ALL
    SELECT
        entry.movement_id,
        system.role,
        NULL AS number,
        system.currency AS own_currency,
        entry.amount_minor,
        NULL AS opening_minor
    FROM system_entries AS entry
    INNER JOIN system ON entry.account_id = system.account_id
    WHERE entry.created_at >= %(since)s AND entry.created_at < %(before)s
) AS side
INNER JOIN movements AS m ON side.movement_id = m.movement_id
ORDER BY m.created_at, side.movement_id, side.role, side.own_currency, side.amount_minor;

-- snapshot --
-- One view of everything, for the rest of the transaction.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY -- noqa: PRS
;

-- plan_for_whole_tables --
-- For this transaction: the whole journal is read, which takes its time.
SELECT
    set_config('enable_seqscan', 'on', TRUE),
    set_config('work_mem', '64MB', TRUE),
    set_config('statement_timeout', '0', TRUE);
