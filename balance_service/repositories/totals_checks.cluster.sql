-- totals_are_of_entries --
-- Totals of minutes that are not the sums of what was posted in them, added up on each server.
-- What is dated after the horizon counts if the coordinator's log of events tells it.
-- include skipped --

told AS MATERIALIZED ( -- noqa: PRS
    SELECT unnest(e.movement_ids) AS id
    FROM events AS e
    WHERE e.numbered_at >= %(horizon)s::timestamptz - interval '1 minute'
    UNION ALL
    SELECT e.subject_id
    FROM events AS e
    WHERE
        e.numbered_at >= %(horizon)s::timestamptz - interval '1 minute'
        AND e.kind = %(account_opened)s
),

of_users AS MATERIALIZED (
    SELECT
        'users' AS role,
        a.currency,
        date_trunc('minute', e.created_at) AS starts_at,
        sum(greatest(-e.amount_minor, 0)) AS debit_minor,
        sum(greatest(e.amount_minor, 0)) AS credit_minor,
        count(nullif(e.amount_minor, 0)) AS entries,
        0 AS opened
    FROM entries AS e
    INNER JOIN accounts AS a ON e.account_id = a.account_id
    WHERE
        (
            e.created_at < %(horizon)s::timestamptz
            OR e.movement_id IN (SELECT told.id FROM told)
        )
        AND (
            e.created_at < (SELECT t.begins_at FROM totals_progress AS t)
            OR e.movement_id NOT IN (SELECT s.id FROM skipped AS s)
        )
    GROUP BY 1, 2, 3
),

of_system_ids AS MATERIALIZED (
    SELECT
        e.account_id,
        date_trunc('minute', e.created_at) AS starts_at,
        sum(greatest(-e.amount_minor, 0)) AS debit_minor,
        sum(greatest(e.amount_minor, 0)) AS credit_minor,
        count(nullif(e.amount_minor, 0)) AS entries
    FROM system_entries AS e
    WHERE
        (
            e.created_at < %(horizon)s::timestamptz
            OR e.movement_id IN (SELECT told.id FROM told)
        )
        AND (
            e.created_at < (SELECT t.begins_at FROM totals_progress AS t)
            OR e.movement_id NOT IN (SELECT s.id FROM skipped AS s)
        )
    GROUP BY 1, 2
),

-- Written apart: Citus takes no function among the parts of a union.
of_system AS MATERIALIZED (
    SELECT
        s.role,
        s.currency,
        e.starts_at,
        e.debit_minor,
        e.credit_minor,
        e.entries,
        0 AS opened
    FROM of_system_ids AS e
    INNER JOIN
        unnest(%(system_ids)s::uuid[], %(system_roles)s::text[], %(system_currencies)s::text[])
            AS s (account_id, role, currency)
        ON e.account_id = s.account_id
),

of_openings AS MATERIALIZED (
    SELECT
        'users' AS role,
        a.currency,
        date_trunc('minute', a.created_at) AS starts_at,
        0 AS debit_minor,
        0 AS credit_minor,
        0 AS entries,
        count(*) AS opened
    FROM accounts AS a
    WHERE
        (
            a.created_at < %(horizon)s::timestamptz - interval '1 minute'
            OR a.account_id IN (SELECT told.id FROM told)
        )
        AND (
            a.created_at < (SELECT t.begins_at FROM totals_progress AS t)
            OR a.account_id NOT IN (SELECT s.id FROM skipped AS s)
        )
    GROUP BY 1, 2, 3
),

counted AS (
    SELECT
        p.role,
        p.currency,
        p.starts_at,
        sum(p.debit_minor) AS debit_minor,
        sum(p.credit_minor) AS credit_minor,
        sum(p.entries) AS entries,
        sum(p.opened) AS opened
    FROM (
        SELECT * FROM of_users
        UNION ALL
        SELECT * FROM of_system
        UNION ALL
        SELECT * FROM of_openings
    ) AS p
    GROUP BY 1, 2, 3
)

-- include compared_totals --
;

-- totals_are_brought_forward --
-- What was brought forward, which is nothing: a cluster has no archives.
SELECT
    'archives' AS subject,
    forward.found AS stored,
    0 AS computed
FROM (
    SELECT
        (SELECT count(*) FROM brought_forward)
        + (SELECT count(*) FROM system_brought_forward) AS found
) AS forward
WHERE forward.found > 0;

-- purchases_sold --
-- What was bought by month, service and currencies, as of the coordinator's snapshot, without what
-- was not rolled up yet.
-- begin not_rolled_up --
WITH skipped AS MATERIALIZED (
    SELECT unnest(e.movement_ids) AS id
    FROM events AS e
    WHERE e.last_sequence > (SELECT p.followed_sequence FROM totals_progress AS p)
    UNION ALL
    SELECT unnest(o.movement_ids)
    FROM outbox AS o
),

told AS MATERIALIZED (
    SELECT unnest(e.movement_ids) AS id
    FROM events AS e
    WHERE e.numbered_at >= %(horizon)s::timestamptz
)
-- end not_rolled_up --

SELECT
    (date_trunc('month', m.created_at, 'UTC') AT TIME ZONE 'UTC')::date AS month,
    m.service_id,
    m.currency,
    coalesce(m.price_currency, m.currency) AS price_currency,
    count(*) AS purchases,
    sum(coalesce(m.quantity, 1)) AS quantity,
    sum(m.amount_minor) AS gross_minor,
    sum(coalesce(m.price_minor, m.amount_minor)) AS gross_price_minor,
    0 AS refunds,
    0 AS refunded_minor,
    0 AS refunded_price_minor
FROM movements AS m
WHERE
    m.kind = %(purchase)s
    -- begin rolled_up --
    AND (
        m.created_at < %(horizon)s::timestamptz
        OR m.movement_id IN (SELECT told.id FROM told)
    )
    AND (
        m.created_at < (SELECT p.begins_at FROM totals_progress AS p)
        OR m.movement_id NOT IN (SELECT s.id FROM skipped AS s)
    )
    -- end rolled_up --
GROUP BY 1, 2, 3, 4;

-- refunds_sold --
-- The like of refunds of purchases of some buckets, which alone say what was bought.
-- include not_rolled_up --
,

refunds AS MATERIALIZED (
    SELECT *
    FROM movements AS m
    WHERE
        m.kind = %(refund)s
        AND uuid_hash(m.original_id) & 65535 <@ %(slice)s::int4multirange -- noqa: PRS
        -- include rolled_up --
),

bought AS MATERIALIZED (
    SELECT
        movement_id,
        service_id
    FROM movements
    WHERE movement_id IN (SELECT r.original_id FROM refunds AS r)
)

SELECT
    (date_trunc('month', r.created_at, 'UTC') AT TIME ZONE 'UTC')::date AS month,
    coalesce(r.service_id, bought.service_id) AS service_id,
    r.currency,
    coalesce(r.price_currency, r.currency) AS price_currency,
    0 AS purchases,
    0 AS quantity,
    0 AS gross_minor,
    0 AS gross_price_minor,
    count(*) AS refunds,
    sum(r.amount_minor) AS refunded_minor,
    sum(coalesce(r.price_minor, r.amount_minor)) AS refunded_price_minor
FROM refunds AS r
LEFT JOIN bought ON r.original_id = bought.movement_id
GROUP BY 1, 2, 3, 4;

-- sales_kept --
-- The sales of every month, once they are rolled up.
SELECT
    s.month,
    s.service_id,
    s.currency,
    s.price_currency,
    s.purchases,
    s.quantity,
    s.gross_minor,
    s.gross_price_minor,
    s.refunds,
    s.refunded_minor,
    s.refunded_price_minor
FROM service_sales AS s;

-- count_refunds --
-- How many refunds there are.
SELECT count(*) AS found
FROM movements
WHERE kind = %(refund)s;

-- is_built --
-- Whether totals have what was posted before they began.
SELECT p.built
FROM totals_progress AS p;
