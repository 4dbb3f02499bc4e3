-- sub_accounts_are_counted --
-- Accounts whose sub-accounts do not have the places from 1 to their number.
SELECT
    c.subject,
    c.stored,
    c.computed
FROM (
    SELECT
        a.sub_account_count AS stored,
        s.places AS computed,
        s.last,
        coalesce(a.account_id, s.account_id)::text AS subject
    FROM accounts AS a
    FULL JOIN (
        SELECT
            account_id,
            count(*) AS places,
            max(place) AS last
        FROM sub_accounts
        GROUP BY account_id
    ) AS s ON a.account_id = s.account_id
) AS c
WHERE c.stored IS DISTINCT FROM coalesce(c.computed, 0) OR c.computed <> c.last
LIMIT %(limit)s;

-- sub_account_is_sum_of_receipts --
-- Sub-accounts that do not hold what waits on them, and receipts that wait on none.
SELECT
    coalesce(s.account_id, w.account_id)::text || ' #' || coalesce(s.place, w.place) AS subject,
    (s.receipts, s.received_minor)::text AS stored,
    (w.receipts, w.received_minor)::text AS computed
FROM sub_accounts AS s
FULL JOIN (
    SELECT
        waiting.account_id,
        waiting.sub_account AS place,
        count(*) AS receipts,
        sum(r.amount_minor) AS received_minor
    FROM waiting_receipts AS waiting
    CROSS JOIN LATERAL unnest(waiting.amounts_minor) AS r (amount_minor)
    GROUP BY waiting.account_id, waiting.sub_account
) AS w ON s.account_id = w.account_id AND s.place = w.place
WHERE
    s.account_id IS NULL
    OR s.receipts <> coalesce(w.receipts, 0)
    OR s.received_minor <> coalesce(w.received_minor, 0)
LIMIT %(limit)s;

-- receipt_is_told --
-- Receipts that wait where the outbox does not say so, and the other way round.
SELECT
    coalesce(told.movement_id, w.movement_id)::text AS subject,
    told.account_id::text AS stored,
    w.account_id::text AS computed
FROM (
    SELECT
        o.place,
        o.transaction_id,
        item.ordinal,
        item.movement_id,
        m.to_account_id AS account_id
    FROM outbox AS o
    CROSS JOIN LATERAL unnest(o.movement_ids, o.to_sequences)
        WITH ORDINALITY AS item (movement_id, to_sequence, ordinal)
    INNER JOIN movements AS m ON item.movement_id = m.movement_id
    WHERE item.to_sequence = 0
) AS told
FULL JOIN (
    SELECT
        waiting.place,
        waiting.transaction_id,
        waiting.account_id,
        r.ordinal,
        r.movement_id
    FROM waiting_receipts AS waiting
    CROSS JOIN LATERAL unnest(waiting.ordinals, waiting.movement_ids)
        AS r (ordinal, movement_id)
) AS w
    ON
        told.place = w.place
        AND told.transaction_id = w.transaction_id
        AND told.ordinal = w.ordinal
        AND told.movement_id = w.movement_id
        AND told.account_id = w.account_id
WHERE told.place IS NULL OR w.place IS NULL
UNION ALL
SELECT
    o.place::text AS subject,
    o.waiting::text AS stored,
    coalesce(w.accounts, 0)::text AS computed
FROM outbox AS o
LEFT JOIN (
    SELECT
        waiting.place,
        waiting.transaction_id,
        count(*) AS accounts
    FROM waiting_receipts AS waiting
    GROUP BY waiting.place, waiting.transaction_id
) AS w ON o.place = w.place AND o.transaction_id = w.transaction_id
WHERE o.waiting <> coalesce(w.accounts, 0)
LIMIT %(limit)s;
