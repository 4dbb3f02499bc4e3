-- totals_are_of_entries --
-- Totals of minutes that are not the sums of what was posted in them, without what was not rolled
-- up yet. Where entries are elsewhere, what is counted here is accounts that were opened.
-- begin skipped --
WITH waiting AS (
    SELECT
        e.movement_ids,
        e.kind,
        e.subject_id
    FROM events AS e
    WHERE e.last_sequence > (SELECT p.followed_sequence FROM totals_progress AS p)
    UNION ALL
    SELECT
        o.movement_ids,
        o.kind,
        o.subject_id
    FROM outbox AS o
),

skipped AS (
    SELECT unnest(w.movement_ids) AS id FROM waiting AS w
    UNION ALL
    SELECT w.subject_id FROM waiting AS w
    WHERE w.kind = %(account_opened)s
),
-- end skipped --

posted AS (
    SELECT
        e.movement_id AS id,
        'users' AS role,
        a.currency,
        e.amount_minor,
        0 AS opened,
        e.created_at
    FROM entries AS e
    INNER JOIN accounts AS a ON e.account_id = a.account_id
    UNION ALL
    SELECT
        e.movement_id,
        system.role,
        system.currency,
        e.amount_minor,
        0 AS opened,
        e.created_at
    FROM system_entries AS e
    INNER JOIN unnest(
        %(system_ids)s::uuid[],
        %(system_roles)s::text[],
        %(system_currencies)s::text[]
    ) AS system (account_id, role, currency) ON e.account_id = system.account_id
    UNION ALL
    SELECT
        a.account_id,
        'users' AS role,
        a.currency,
        0 AS amount_minor,
        1 AS opened,
        a.created_at
    FROM accounts AS a
),

counted AS (
    SELECT
        p.role,
        p.currency,
        date_trunc('minute', p.created_at) AS starts_at,
        sum(greatest(-p.amount_minor, 0)) AS debit_minor,
        sum(greatest(p.amount_minor, 0)) AS credit_minor,
        count(nullif(p.amount_minor, 0)) AS entries,
        sum(p.opened) AS opened
    FROM posted AS p
    WHERE
        p.created_at < (SELECT t.begins_at FROM totals_progress AS t)
        OR NOT EXISTS (
            SELECT
            FROM skipped AS s
            WHERE s.id = p.id
        )
    GROUP BY 1, 2, 3
)

-- begin compared_totals --
SELECT
    (coalesce(t.starts_at, c.starts_at), coalesce(t.role, c.role), coalesce(t.currency, c.currency))
    ::text AS subject,
    (t.debit_minor, t.credit_minor, t.entries, t.opened)::text AS stored,
    (c.debit_minor, c.credit_minor, c.entries, c.opened)::text AS computed
FROM counted AS c
FULL JOIN (
    SELECT *
    FROM ledger_totals
    WHERE span = 1
) AS t
    ON c.starts_at = t.starts_at AND c.role = t.role AND c.currency = t.currency
WHERE
    (SELECT p.built FROM totals_progress AS p)
    AND (
        coalesce(t.opened, 0) <> coalesce(c.opened, 0)
        OR (
            coalesce(t.starts_at, c.starts_at) >= %(since)s::timestamptz
            AND coalesce(t.starts_at, c.starts_at) < %(until)s::timestamptz
            AND (t.debit_minor, t.credit_minor, t.entries)
            IS DISTINCT FROM (c.debit_minor, c.credit_minor, c.entries)
        )
    )
LIMIT %(limit)s
-- end compared_totals --
;

-- totals_are_brought_forward --
-- Totals before the horizon that do not lead to what was brought forward.
SELECT
    (coalesce(t.role, b.role), coalesce(t.currency, b.currency))::text AS subject,
    (t.amount_minor, t.entries)::text AS stored,
    (b.amount_minor, b.entries)::text AS computed
FROM (
    SELECT
        role,
        currency,
        sum(credit_minor - debit_minor) AS amount_minor,
        sum(entries) AS entries
    FROM ledger_totals
    WHERE span = 1 AND starts_at < %(since)s::timestamptz
    GROUP BY 1, 2
) AS t
FULL JOIN (
    SELECT
        'users' AS role,
        a.currency,
        sum(f.balance_minor) AS amount_minor,
        sum(f.sequence) AS entries
    FROM brought_forward AS f
    INNER JOIN accounts AS a ON f.account_id = a.account_id
    GROUP BY 1, 2
    UNION ALL
    SELECT
        system.role,
        system.currency,
        f.amount_minor,
        f.entries
    FROM system_brought_forward AS f
    INNER JOIN unnest(
        %(system_ids)s::uuid[],
        %(system_roles)s::text[],
        %(system_currencies)s::text[]
    ) AS system (account_id, role, currency) ON f.account_id = system.account_id
) AS b ON t.role = b.role AND t.currency = b.currency
WHERE
    (SELECT p.built FROM totals_progress AS p)
    AND (
        coalesce(t.amount_minor, 0) <> coalesce(b.amount_minor, 0)
        OR coalesce(t.entries, 0) <> coalesce(b.entries, 0)
    )
LIMIT %(limit)s;

-- totals_add_up --
-- Totals of days that are not the sums of their minutes.
SELECT
    (coalesce(d.starts_at, m.starts_at), coalesce(d.role, m.role), coalesce(d.currency, m.currency))
    ::text AS subject,
    (d.debit_minor, d.credit_minor, d.entries, d.opened)::text AS stored,
    (m.debit_minor, m.credit_minor, m.entries, m.opened)::text AS computed
FROM (
    SELECT *
    FROM ledger_totals
    WHERE span = 2
) AS d
FULL JOIN (
    SELECT
        t.role,
        t.currency,
        date_trunc('day', t.starts_at, 'UTC') AS starts_at,
        sum(t.debit_minor) AS debit_minor,
        sum(t.credit_minor) AS credit_minor,
        sum(t.entries) AS entries,
        sum(t.opened) AS opened
    FROM ledger_totals AS t
    WHERE t.span = 1
    GROUP BY 1, 2, 3
) AS m ON d.starts_at = m.starts_at AND d.role = m.role AND d.currency = m.currency
WHERE
    (d.debit_minor, d.credit_minor, d.entries, d.opened)
    IS DISTINCT FROM (m.debit_minor, m.credit_minor, m.entries, m.opened)
LIMIT %(limit)s;

-- sales_are_of_movements --
-- Sales of a month that are not the sums of its purchases and refunds, without what was not rolled
-- up yet.
WITH waiting AS (
    SELECT unnest(e.movement_ids) AS movement_id
    FROM events AS e
    WHERE e.last_sequence > (SELECT p.followed_sequence FROM totals_progress AS p)
    UNION ALL
    SELECT unnest(o.movement_ids) AS movement_id FROM outbox AS o
),

counted AS (
    SELECT
        m.currency,
        coalesce(m.service_id, bought.service_id) AS service_id,
        coalesce(m.price_currency, m.currency) AS price_currency,
        date_trunc('month', m.created_at, 'UTC') AS starts_at,
        sum(CASE m.kind WHEN %(purchase)s THEN 1 ELSE 0 END) AS purchases,
        sum(CASE m.kind WHEN %(purchase)s THEN coalesce(m.quantity, 1) ELSE 0 END) AS quantity,
        sum(CASE m.kind WHEN %(purchase)s THEN m.amount_minor ELSE 0 END) AS gross_minor,
        sum(CASE m.kind WHEN %(purchase)s THEN coalesce(m.price_minor, m.amount_minor) ELSE 0 END)
            AS gross_price_minor,
        sum(CASE m.kind WHEN %(refund)s THEN 1 ELSE 0 END) AS refunds,
        sum(CASE m.kind WHEN %(refund)s THEN m.amount_minor ELSE 0 END) AS refunded_minor,
        sum(CASE m.kind WHEN %(refund)s THEN coalesce(m.price_minor, m.amount_minor) ELSE 0 END)
            AS refunded_price_minor
    FROM movements AS m
    LEFT JOIN movements AS bought
        ON m.kind = %(refund)s AND m.original_id = bought.movement_id
    WHERE
        m.kind IN (%(purchase)s, %(refund)s)
        AND (
            m.created_at < (SELECT p.begins_at FROM totals_progress AS p)
            OR NOT EXISTS (
                SELECT
                FROM waiting AS w
                WHERE w.movement_id = m.movement_id
            )
        )
    GROUP BY 1, 2, 3, 4
),

compared AS (
    SELECT
        (
            coalesce(s.month, (c.starts_at AT TIME ZONE 'UTC')::date),
            coalesce(s.service_id, c.service_id),
            coalesce(s.currency, c.currency),
            coalesce(s.price_currency, c.price_currency)
        )::text AS subject,
        (
            s.purchases,
            s.quantity,
            s.gross_minor,
            s.gross_price_minor,
            s.refunds,
            s.refunded_minor,
            s.refunded_price_minor
        )::text AS stored,
        (
            c.purchases,
            c.quantity,
            c.gross_minor,
            c.gross_price_minor,
            c.refunds,
            c.refunded_minor,
            c.refunded_price_minor
        )::text AS computed
    FROM counted AS c
    FULL JOIN service_sales AS s
        ON
            (c.starts_at AT TIME ZONE 'UTC')::date = s.month
            AND c.service_id = s.service_id
            AND c.currency = s.currency
            AND c.price_currency = s.price_currency
)

SELECT
    c.subject,
    c.stored,
    c.computed
FROM compared AS c
WHERE (SELECT p.built FROM totals_progress AS p) AND c.stored IS DISTINCT FROM c.computed
LIMIT %(limit)s;
