-- snapshot --
-- One view of everything, for the rest of the transaction.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- plan_for_whole_tables --
-- Undoes, for this transaction, what keeps the service's other queries from scanning tables.
SET LOCAL enable_seqscan = on

-- totals --
-- How much there is to verify.
SELECT
    (SELECT count(*) FROM accounts) AS accounts,
    (SELECT count(*) FROM movements) AS movements,
    (SELECT count(*) FROM entries) AS entries,
    (SELECT count(*) FROM system_entries) AS system_entries

-- balance_is_sum_of_entries --
-- Accounts whose balance is not the sum of their entries.
SELECT a.account_id::text AS subject, a.balance_minor AS stored, coalesce(e.total, 0) AS computed
FROM accounts AS a
LEFT JOIN (
    SELECT account_id, sum(amount_minor) AS total FROM entries GROUP BY account_id
) AS e ON a.account_id = e.account_id
WHERE a.balance_minor <> coalesce(e.total, 0)
LIMIT %(limit)s

-- sequence_without_gaps --
-- Accounts whose entries are not numbered from 1 to the account's sequence.
SELECT
    a.account_id::text AS subject,
    a.sequence AS stored,
    coalesce(e.entries, 0) AS computed
FROM accounts AS a
LEFT JOIN (
    SELECT account_id, count(*) AS entries, max(sequence) AS last
    FROM entries
    GROUP BY account_id
) AS e ON a.account_id = e.account_id
WHERE a.sequence <> coalesce(e.entries, 0) OR a.sequence <> coalesce(e.last, 0)
LIMIT %(limit)s

-- balance_after_follows --
-- Entries whose balance_after is not the one before plus their amount, or that go back in time.
SELECT
    account_id::text || ' #' || sequence AS subject,
    balance_after_minor AS stored,
    coalesce(before_minor, 0) + amount_minor AS computed
FROM (
    SELECT
        account_id,
        sequence,
        amount_minor,
        balance_after_minor,
        created_at,
        lag(balance_after_minor) OVER statement AS before_minor,
        lag(created_at) OVER statement AS before_at
    FROM entries
    WINDOW statement AS (PARTITION BY account_id ORDER BY sequence)
) AS e
WHERE balance_after_minor <> coalesce(before_minor, 0) + amount_minor OR created_at < before_at
LIMIT %(limit)s

-- movement_sums_to_zero --
-- Movements whose entries do not sum to zero in each currency, or are missing.
SELECT
    m.movement_id::text || ' ' || coalesce(s.currency, '') AS subject,
    0 AS stored,
    s.total AS computed
FROM movements AS m
LEFT JOIN (
    SELECT movement_id, currency, sum(amount_minor) AS total
    FROM (
        SELECT e.movement_id, a.currency, e.amount_minor
        FROM entries AS e
        LEFT JOIN accounts AS a ON e.account_id = a.account_id
        UNION ALL
        SELECT e.movement_id, s.currency, e.amount_minor
        FROM system_entries AS e
        LEFT JOIN unnest(%(system_ids)s::uuid[], %(system_currencies)s::text[])
            AS s (account_id, currency) ON e.account_id = s.account_id
    ) AS legs
    GROUP BY movement_id, currency
) AS s ON m.movement_id = s.movement_id
WHERE s.total IS NULL OR s.total <> 0 OR s.currency IS NULL
LIMIT %(limit)s

-- entry_has_movement --
-- Entries that belong to no movement, or contradict it.
SELECT
    e.account_id::text || ' of ' || e.movement_id AS subject,
    e.amount_minor AS stored,
    m.amount_minor AS computed
FROM entries AS e
LEFT JOIN movements AS m ON e.movement_id = m.movement_id
WHERE
    m.movement_id IS NULL
    OR m.kind <> e.kind
    OR NOT (
        (e.account_id = m.from_account_id AND e.counterparty_id = m.to_account_id
            AND e.amount_minor = -m.amount_minor)
        OR (e.account_id = m.to_account_id AND e.counterparty_id = m.from_account_id
            AND e.amount_minor = m.amount_minor)
    )
LIMIT %(limit)s

-- system_entry_has_movement --
-- System entries that belong to no movement.
SELECT
    e.account_id::text || ' of ' || e.movement_id AS subject,
    e.amount_minor AS stored,
    NULL::bigint AS computed
FROM system_entries AS e
LEFT JOIN movements AS m ON e.movement_id = m.movement_id
WHERE m.movement_id IS NULL
LIMIT %(limit)s

-- system_balance_is_sum_of_entries --
-- System accounts whose balance, with what waits to be rolled up, is not the sum of their entries.
SELECT
    coalesce(k.account_id, e.account_id)::text AS subject,
    coalesce(k.total, 0) AS stored,
    coalesce(e.total, 0) AS computed
FROM (
    SELECT account_id, sum(amount_minor) AS total, sum(entries) AS entries
    FROM (
        SELECT account_id, balance_minor AS amount_minor, entries FROM system_accounts
        UNION ALL
        SELECT account_id, amount_minor, entries FROM system_deltas
    ) AS parts
    GROUP BY account_id
) AS k
FULL JOIN (
    SELECT account_id, sum(amount_minor) AS total, count(*) AS entries
    FROM system_entries
    GROUP BY account_id
) AS e ON k.account_id = e.account_id
WHERE coalesce(k.total, 0) <> coalesce(e.total, 0) OR coalesce(k.entries, 0) <> coalesce(e.entries, 0)
LIMIT %(limit)s

-- limit_respected --
-- Accounts that are below their limit, or hold what they should not.
SELECT
    account_id::text AS subject,
    balance_minor - held_minor AS stored,
    -limit_minor AS computed
FROM accounts
WHERE balance_minor - held_minor < -limit_minor OR held_minor < 0
LIMIT %(limit)s

-- owner_has_account --
-- Accounts that their owner or their number does not lead to.
SELECT
    a.account_id::text AS subject,
    a.number AS stored,
    n.number AS computed
FROM accounts AS a
LEFT JOIN account_owners AS o
    ON a.owner_id = o.owner_id AND a.currency = o.currency AND a.account_id = o.account_id
LEFT JOIN account_numbers AS n ON a.number = n.number AND a.account_id = n.account_id
WHERE o.account_id IS NULL OR n.account_id IS NULL
LIMIT %(limit)s

-- purchase_has_movement --
-- Purchases and references that their movements know nothing of.
SELECT
    p.movement_id::text AS subject,
    NULL::bigint AS stored,
    NULL::bigint AS computed
FROM purchases AS p
LEFT JOIN movements AS m
    ON p.movement_id = m.movement_id
    AND p.account_id = m.from_account_id
    AND p.service_id = m.service_id
WHERE m.movement_id IS NULL
UNION ALL
SELECT r.movement_id::text, NULL, NULL
FROM external_references AS r
LEFT JOIN movements AS m
    ON r.movement_id = m.movement_id AND r.source = m.source AND r.reference = m.reference
WHERE m.movement_id IS NULL
LIMIT %(limit)s

-- balances --
-- The trial balance: all users' and all system accounts' money by currency, which sums to zero.
SELECT
    currency,
    sum(users_minor) AS users_minor,
    sum(system_minor) AS system_minor
FROM (
    SELECT currency, sum(balance_minor) AS users_minor, 0 AS system_minor
    FROM accounts
    GROUP BY currency
    UNION ALL
    SELECT s.currency, 0, sum(e.amount_minor)
    FROM system_entries AS e
    INNER JOIN unnest(%(system_ids)s::uuid[], %(system_currencies)s::text[])
        AS s (account_id, currency) ON e.account_id = s.account_id
    GROUP BY s.currency
) AS sides
GROUP BY currency
ORDER BY currency
