-- system_balance_is_sum_of_entries --
-- System accounts whose balance, with what waits to be rolled up, is not the sum of their entries.
-- What is dated after the horizon counts if the coordinator tells it, which has the balances.
WITH -- noqa: PRS
-- begin told --
told AS MATERIALIZED (
    SELECT unnest(e.movement_ids) AS id
    FROM events AS e
    WHERE e.numbered_at >= %(horizon)s::timestamptz
    UNION ALL
    SELECT unnest(o.movement_ids)
    FROM outbox AS o
)
-- end told --

-- include system_balances_kept --
FULL JOIN (
    SELECT
        system_entries.account_id,
        sum(system_entries.amount_minor) AS total,
        count(*) AS entries
    FROM system_entries
    WHERE
        system_entries.created_at < %(horizon)s::timestamptz
        OR system_entries.movement_id IN (SELECT told.id FROM told)
    GROUP BY system_entries.account_id
) AS e ON k.account_id = e.account_id
WHERE coalesce(k.total, 0) <> coalesce(e.total, 0) OR coalesce(k.entries, 0) <> coalesce(e.entries, 0)
LIMIT %(limit)s;

-- brought_forward_is_of_movements --
-- Accounts that brought something forward: nothing is archived on a cluster.
SELECT
    b.account_id::text AS subject,
    (b.sequence, b.balance_minor, b.created_at)::text AS stored,
    NULL AS computed
FROM brought_forward AS b
LIMIT %(limit)s;

-- system_brought_forward_is_of_movements --
-- The like of system accounts.
SELECT
    b.account_id::text AS subject,
    b.amount_minor AS stored,
    0 AS computed
FROM system_brought_forward AS b
LIMIT %(limit)s;

-- archive_is_of_movements --
-- Periods in files, of which there are none.
SELECT
    a.ends_at AS subject,
    (a.starts_at, a.entries, a.entries_minor, a.values_end_at)::text AS stored,
    NULL AS computed
FROM archives AS a
LIMIT %(limit)s;

-- purchase_has_movement --
-- As on one server, of what some accounts bought. What is on one server looked up for each purchase
-- is joined here: a slice has no index.
SELECT
    coalesce(p.movement_id, m.movement_id)::text AS subject,
    p.account_id || ' bought ' || p.service_id AS stored,
    m.account_id || ' bought ' || m.service_id AS computed
FROM purchases AS p
FULL JOIN (
    SELECT
        b.movement_id,
        b.from_account_id AS account_id,
        b.service_id,
        b.original_id,
        b.quantity,
        coalesce(b.price_minor, b.amount_minor) AS total_minor,
        b.amount_minor > coalesce(f.amount_minor, 0) AS in_force
    FROM movements AS b
    LEFT JOIN (
        SELECT
            original_id,
            sum(amount_minor) AS amount_minor
        FROM follows
        GROUP BY original_id
    ) AS f ON b.movement_id = f.original_id
    WHERE b.kind = %(purchase)s
) AS m ON p.movement_id = m.movement_id
LEFT JOIN services AS s ON coalesce(p.service_id, m.service_id) = s.service_id
LEFT JOIN purchases AS other
    ON
        p.movement_id IS NULL
        AND m.account_id = other.account_id
        AND m.service_id = other.service_id
LEFT JOIN movements AS instead ON other.movement_id = instead.movement_id
WHERE
    CASE
        WHEN m.quantity IS NOT NULL
            THEN
                p.movement_id IS NOT NULL
                OR s.service_id IS NULL
                OR (m.original_id IS NULL AND mod(m.total_minor, m.quantity) <> 0)
        WHEN p.movement_id IS NULL
            THEN
                (
                    instead.movement_id IS NOT NULL
                    AND (NOT m.in_force OR instead.original_id = m.original_id)
                ) IS NOT TRUE
        ELSE
            (p.account_id, p.service_id) IS DISTINCT FROM (m.account_id, m.service_id)
            OR s.service_id IS NULL
    END
LIMIT %(limit)s;

-- balances --
-- The trial balance by entries, which balances are the sums of, as of one moment.
WITH -- noqa: PRS
-- include told --
,

of_users AS MATERIALIZED (
    SELECT
        a.currency,
        coalesce(sum(e.amount_minor), 0) AS amount_minor
    FROM accounts AS a
    LEFT JOIN entries AS e
        ON
            a.account_id = e.account_id
            AND (
                e.created_at < %(horizon)s::timestamptz
                OR e.movement_id IN (SELECT told.id FROM told)
            )
    GROUP BY a.currency
),

of_system AS MATERIALIZED (
    SELECT
        s.currency,
        sum(e.amount_minor) AS amount_minor
    FROM system_entries AS e
    INNER JOIN unnest(%(system_ids)s::uuid[], %(system_currencies)s::text[])
        AS s (account_id, currency) ON e.account_id = s.account_id
    WHERE
        e.created_at < %(horizon)s::timestamptz
        OR e.movement_id IN (SELECT told.id FROM told)
    GROUP BY s.currency
)

SELECT
    coalesce(u.currency, s.currency) AS currency,
    coalesce(u.amount_minor, 0) AS users_minor,
    coalesce(s.amount_minor, 0) AS system_minor
FROM of_users AS u
FULL JOIN of_system AS s ON u.currency = s.currency
ORDER BY currency;
