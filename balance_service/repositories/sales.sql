-- roll_up --
-- Adds what was sold by the events of a part of the log; how many rows that changed.
WITH taken AS (
    SELECT unnest(e.movement_ids) AS movement_id
    FROM events AS e
    WHERE e.last_sequence > %(after)s AND e.last_sequence <= %(until)s
),

-- begin followed --
moved AS (
    SELECT m.*
    FROM taken AS t
    CROSS JOIN LATERAL (
        SELECT *
        FROM movements
        WHERE movements.movement_id = t.movement_id
        LIMIT 1 -- on one server --
    ) AS m
    WHERE
        m.kind IN (%(purchase)s, %(refund)s)
        AND m.created_at >= (SELECT p.begins_at FROM totals_progress AS p)
),

bought AS (
    SELECT
        m.movement_id,
        m.service_id
    FROM (
        SELECT DISTINCT moved.original_id
        FROM moved
        WHERE moved.kind = %(refund)s
    ) AS refunded
    CROSS JOIN LATERAL (
        SELECT *
        FROM movements
        WHERE movements.movement_id = refunded.original_id
        LIMIT 1 -- on one server --
    ) AS m
),

-- begin sold --
sales AS (
    SELECT
        m.kind,
        m.currency,
        m.amount_minor,
        date_trunc('month', m.created_at AT TIME ZONE 'UTC')::date AS month,
        coalesce(m.service_id, bought.service_id) AS service_id,
        coalesce(m.price_currency, m.currency) AS price_currency,
        coalesce(m.price_minor, m.amount_minor) AS price_minor,
        coalesce(m.quantity, 1) AS quantity
    FROM moved AS m
    LEFT JOIN bought ON m.kind = %(refund)s AND m.original_id = bought.movement_id
),

sold AS (
    SELECT
        s.month,
        s.service_id,
        s.currency,
        s.price_currency,
        count(*) FILTER (WHERE s.kind = %(purchase)s) AS purchases,
        sum(CASE s.kind WHEN %(purchase)s THEN s.quantity ELSE 0 END) AS quantity,
        sum(CASE s.kind WHEN %(purchase)s THEN s.amount_minor ELSE 0 END) AS gross_minor,
        sum(CASE s.kind WHEN %(purchase)s THEN s.price_minor ELSE 0 END) AS gross_price_minor,
        count(*) FILTER (WHERE s.kind = %(refund)s) AS refunds,
        sum(CASE s.kind WHEN %(refund)s THEN s.amount_minor ELSE 0 END) AS refunded_minor,
        sum(CASE s.kind WHEN %(refund)s THEN s.price_minor ELSE 0 END) AS refunded_price_minor
    FROM sales AS s
    GROUP BY s.month, s.service_id, s.currency, s.price_currency
),
-- end sold --
-- end followed --

added AS (
    INSERT INTO service_sales AS s (
        month,
        service_id,
        currency,
        price_currency,
        purchases,
        quantity,
        gross_minor,
        gross_price_minor,
        refunds,
        refunded_minor,
        refunded_price_minor
    )
    SELECT *
    FROM sold
    ORDER BY sold.month, sold.service_id, sold.currency, sold.price_currency
    ON CONFLICT (month, service_id, currency, price_currency) DO UPDATE SET
        purchases = s.purchases + excluded.purchases,
        quantity = s.quantity + excluded.quantity,
        gross_minor = s.gross_minor + excluded.gross_minor,
        gross_price_minor = s.gross_price_minor + excluded.gross_price_minor,
        refunds = s.refunds + excluded.refunds,
        refunded_minor = s.refunded_minor + excluded.refunded_minor,
        refunded_price_minor = s.refunded_price_minor + excluded.refunded_price_minor
    RETURNING s.month
)

SELECT count(*) AS added
FROM added;

-- build --
-- Adds what was sold before the totals began, from the journal itself.
WITH moved AS ( -- noqa: ST03
    SELECT m.*
    FROM movements AS m
    WHERE
        m.kind IN (%(purchase)s, %(refund)s)
        AND m.created_at < (SELECT p.begins_at FROM totals_progress AS p
WHERE NOT p.built)
),

bought AS ( -- noqa: ST03
    SELECT
        m.movement_id,
        m.service_id
    FROM movements AS m
    WHERE m.kind = %(purchase)s
),

-- include sold --

added AS (
    INSERT INTO service_sales AS s (
        month,
        service_id,
        currency,
        price_currency,
        purchases,
        quantity,
        gross_minor,
        gross_price_minor,
        refunds,
        refunded_minor,
        refunded_price_minor
    )
    SELECT *
    FROM sold
    ORDER BY sold.month, sold.service_id, sold.currency, sold.price_currency
    ON CONFLICT (month, service_id, currency, price_currency) DO UPDATE SET
        purchases = s.purchases + excluded.purchases,
        quantity = s.quantity + excluded.quantity,
        gross_minor = s.gross_minor + excluded.gross_minor,
        gross_price_minor = s.gross_price_minor + excluded.gross_price_minor,
        refunds = s.refunds + excluded.refunds,
        refunded_minor = s.refunded_minor + excluded.refunded_minor,
        refunded_price_minor = s.refunded_price_minor + excluded.refunded_price_minor
    RETURNING s.month
)

SELECT count(*) AS added
FROM added;

-- page --
-- A part of the sales of some months, in one snapshot, by month, service and currencies: what was
-- rolled up, and what was not yet. Each month is looked up by itself, so that one service's rows
-- are found without those of others.
WITH taken AS ( -- noqa: ST03
    SELECT unnest(e.movement_ids) AS movement_id
    FROM events AS e
    WHERE e.last_sequence > (SELECT p.followed_sequence FROM totals_progress AS p)
    UNION ALL
    SELECT unnest(o.movement_ids) AS movement_id FROM outbox AS o
),

-- include followed --

counted AS (
    SELECT s.*
    FROM (
        SELECT
            generate_series(
                %(month)s::timestamp, %(last_month)s::timestamp, interval '1 month'
            )::date AS month
    ) AS each
    CROSS JOIN LATERAL (
        SELECT *
        FROM service_sales
        WHERE
            service_sales.month = each.month
            AND service_sales.service_id BETWEEN %(first)s AND %(last)s
            AND (
                service_sales.month,
                service_sales.service_id,
                service_sales.currency,
                service_sales.price_currency
            ) > (%(month)s, %(after)s, %(currency)s, %(price_currency)s)
        ORDER BY
            service_sales.service_id,
            service_sales.currency,
            service_sales.price_currency
        LIMIT %(limit)s
    ) AS s
    UNION ALL
    SELECT *
    FROM sold AS s
    WHERE
        s.month <= %(last_month)s
        AND s.service_id BETWEEN %(first)s AND %(last)s
        AND (s.month, s.service_id, s.currency, s.price_currency)
        > (%(month)s, %(after)s, %(currency)s, %(price_currency)s)
)

SELECT
    c.month,
    c.service_id,
    c.currency,
    c.price_currency,
    sum(c.purchases)::bigint AS purchases,
    sum(c.quantity)::bigint AS quantity,
    sum(c.gross_minor) AS gross_minor,
    sum(c.gross_price_minor) AS gross_price_minor,
    sum(c.refunds)::bigint AS refunds,
    sum(c.refunded_minor) AS refunded_minor,
    sum(c.refunded_price_minor) AS refunded_price_minor
FROM counted AS c
GROUP BY c.month, c.service_id, c.currency, c.price_currency
ORDER BY c.month, c.service_id, c.currency, c.price_currency
LIMIT %(limit)s;
