-- held_is_sum_of_holds --
-- Accounts that do not hold what is left of their holds.
SELECT
    coalesce(a.account_id, h.account_id)::text AS subject,
    coalesce(a.held_minor, -1) AS stored,
    coalesce(h.total, 0) AS computed
FROM accounts AS a
FULL JOIN (
    SELECT
        account_id,
        sum(left_minor) AS total
    FROM holds
    GROUP BY account_id
) AS h ON a.account_id = h.account_id
WHERE a.held_minor IS DISTINCT FROM coalesce(h.total, 0)
ORDER BY subject
LIMIT %(limit)s;

-- hold_follows_from_movements --
-- Holds that are not as the movements say that made them, captured them and released them.
SELECT
    coalesce(h.hold_id, m.movement_id)::text AS subject,
    (
        h.account_id, h.captured_minor, h.left_minor, h.status, h.expires_at, h.created_at
    )::text AS stored,
    (
        m.account_id, m.captured_minor, m.left_minor, m.status, m.expires_at, m.created_at
    )::text AS computed
FROM holds AS h
FULL JOIN (
    SELECT
        p.movement_id,
        p.from_account_id AS account_id,
        p.expires_at,
        p.created_at,
        coalesce(f.captured_minor, 0) AS captured_minor,
        CASE
            WHEN
                f.endings = 0 OR f.endings IS NULL
                THEN p.amount_minor - coalesce(f.captured_minor, 0)
            WHEN f.released_minor = p.amount_minor - f.captured_minor OR f.released_minor = 0 THEN 0
        END AS left_minor,
        CASE WHEN f.endings > 1 THEN 0 ELSE coalesce(f.status, %(open)s) END AS status
    FROM movements AS p
    LEFT JOIN (
        SELECT
            original_id,
            count(*) FILTER (WHERE final OR kind IN (%(release)s, %(expiry)s)) AS endings,
            coalesce(sum(amount_minor) FILTER (WHERE kind NOT IN (%(release)s, %(expiry)s)), 0)
                AS captured_minor,
            coalesce(sum(amount_minor) FILTER (WHERE kind IN (%(release)s, %(expiry)s)), 0)
                AS released_minor,
            max(CASE
                WHEN kind = %(release)s THEN %(voided)s
                WHEN kind = %(expiry)s THEN %(expired)s
                WHEN final THEN %(captured)s
            END) AS status
        FROM movements
        WHERE original_id IS NOT NULL
        GROUP BY original_id
    ) AS f ON p.movement_id = f.original_id
    WHERE p.kind = %(hold)s
) AS m ON h.hold_id = m.movement_id
WHERE
    (h.account_id, h.captured_minor, h.left_minor, h.status, h.expires_at, h.created_at)
    IS DISTINCT FROM
    (m.account_id, m.captured_minor, m.left_minor, m.status, m.expires_at, m.created_at)
ORDER BY subject
LIMIT %(limit)s;

-- hold_has_purpose --
-- Holds that are for nothing: neither for the settlement of their currency, nor for a service there
-- is, nor for another account of their currency.
SELECT
    m.movement_id::text AS subject,
    m.to_account_id::text || coalesce(' for ' || m.service_id, '') AS stored,
    coalesce(s.account_id, a.account_id)::text AS computed
FROM movements AS m
LEFT JOIN unnest(%(system_ids)s::uuid[], %(system_roles)s::text[], %(system_currencies)s::text[])
    AS s (account_id, role, currency)
    ON
        m.to_account_id = s.account_id
        AND s.role = CASE WHEN m.service_id IS NULL THEN 'settlement' ELSE 'revenue' END
        AND s.currency = coalesce(m.price_currency, m.currency)
LEFT JOIN accounts AS a
    ON m.to_account_id = a.account_id AND m.currency = a.currency AND m.service_id IS NULL
LEFT JOIN services AS v ON m.service_id = v.service_id
WHERE
    m.kind = %(hold)s
    AND (
        coalesce(s.account_id, a.account_id) IS NULL
        OR (m.service_id IS NOT NULL AND v.service_id IS NULL)
    )
ORDER BY subject
LIMIT %(limit)s;

-- hold_shows_balance --
-- Holds and releases, and reversals that take nothing from who pays, that show a balance which
-- their account did not have until then.
SELECT
    m.movement_id::text AS subject,
    m.balance_after_minor AS stored,
    NULL AS computed
FROM movements AS m
WHERE
    (
        m.kind IN (%(hold)s, %(release)s, %(expiry)s)
        OR (m.kind IN (%(transfer_reversal)s, %(exchange_reversal)s) AND m.price_minor = 0)
    )
    AND m.balance_after_minor <> 0
    AND m.created_at >= %(since)s::timestamptz AND m.created_at < %(until)s::timestamptz
    AND NOT EXISTS (
        SELECT
        FROM brought_forward AS b
        WHERE b.account_id = m.from_account_id AND b.balance_minor = m.balance_after_minor
    )
    AND NOT EXISTS (
        SELECT
        FROM entries AS e
        WHERE
            e.account_id = m.from_account_id
            AND e.balance_after_minor = m.balance_after_minor
            AND e.created_at <= m.created_at
    )
ORDER BY subject
LIMIT %(limit)s;

-- follow_has_movement --
-- What is said to follow a movement and is not as its own movement says, or is missing.
SELECT
    coalesce(f.movement_id, m.movement_id)::text AS subject,
    (f.original_id, f.amount_minor, f.price_minor)::text AS stored,
    (m.original_id, m.amount_minor, m.price_minor)::text AS computed
FROM follows AS f
FULL JOIN (
    SELECT
        movement_id,
        original_id,
        amount_minor,
        coalesce(price_minor, 0) AS price_minor
    FROM movements
    WHERE original_id IS NOT NULL AND kind NOT IN (%(release)s, %(expiry)s)
) AS m ON f.movement_id = m.movement_id
WHERE
    (f.original_id, f.amount_minor, f.price_minor)
    IS DISTINCT FROM (m.original_id, m.amount_minor, m.price_minor)
ORDER BY subject
LIMIT %(limit)s;

-- follow_fits_original --
-- Reversals, captures and releases that are not between the accounts, in the currency and at the
-- rate of what they follow, or that cannot follow it; or that took all that was left and left more.
SELECT
    m.movement_id::text AS subject,
    (
        m.kind, m.from_account_id, m.to_account_id, m.currency, m.service_id, m.rate, m.created_at
    )::text AS stored,
    (
        o.kind, o.from_account_id, o.to_account_id, o.currency, o.service_id, o.rate, o.created_at
    )::text AS computed
FROM movements AS m
LEFT JOIN movements AS o ON m.original_id = o.movement_id
LEFT JOIN (
    SELECT
        original_id,
        sum(amount_minor) AS amount_minor
    FROM follows
    GROUP BY original_id
) AS f ON m.original_id = f.original_id
WHERE
    m.original_id IS NOT NULL
    AND (
        o.currency = m.currency
        AND o.created_at <= m.created_at
        AND (m.kind <> %(expiry)s OR o.expires_at <= m.created_at)
        AND (m.whole IS NOT TRUE OR f.amount_minor = o.amount_minor)
        AND CASE
            WHEN m.kind IN (%(release)s, %(expiry)s)
                THEN
                    o.kind = %(hold)s
                    AND (o.from_account_id, o.to_account_id) = (m.from_account_id, m.to_account_id)
            WHEN m.kind IN (%(withdrawal)s, %(purchase)s, %(transfer)s)
                THEN
                    o.kind = %(hold)s
                    AND (o.from_account_id, o.to_account_id) = (m.from_account_id, m.to_account_id)
                    AND (o.service_id, o.price_currency, o.rate, o.rate_source, o.rate_as_of)
                    IS NOT DISTINCT FROM
                    (m.service_id, m.price_currency, m.rate, m.rate_source, m.rate_as_of)
            ELSE
                o.kind = CASE m.kind
                    WHEN %(deposit_reversal)s THEN %(deposit)s
                    WHEN %(withdrawal_reversal)s THEN %(withdrawal)s
                    WHEN %(refund)s THEN %(purchase)s
                    WHEN %(transfer_reversal)s THEN %(transfer)s
                    WHEN %(exchange_reversal)s THEN %(exchange)s
                END
                AND (o.from_account_id, o.to_account_id) = (m.to_account_id, m.from_account_id)
                AND (o.price_currency, o.rate, o.rate_source, o.rate_as_of)
                IS NOT DISTINCT FROM (m.price_currency, m.rate, m.rate_source, m.rate_as_of)
        END
    ) IS NOT TRUE
ORDER BY subject
LIMIT %(limit)s;

-- follows_within_original --
-- Movements of which more was reversed, or holds of which more was captured, than they had; or the
-- price that was given back, or captured, is not the amount's share, rounded half to even, and up
-- where it was received by quote.
SELECT
    o.movement_id::text AS subject,
    (f.amount_minor, f.price_minor)::text AS stored,
    (o.amount_minor, o.price_minor)::text AS computed
FROM movements AS o
INNER JOIN (
    SELECT
        original_id,
        sum(amount_minor) AS amount_minor,
        sum(price_minor) AS price_minor,
        mod(sum(price_minor), 2) AS odd
    FROM follows
    GROUP BY original_id
) AS f ON o.movement_id = f.original_id
CROSS JOIN
    LATERAL (
        SELECT f.price_minor * o.amount_minor - o.price_minor * f.amount_minor AS beyond
    ) AS share
WHERE
    f.amount_minor > o.amount_minor
    OR (o.price_minor IS NULL AND f.price_minor > 0)
    OR CASE
        WHEN o.quote_id IS NOT NULL THEN share.beyond < 0 OR share.beyond >= o.amount_minor
        ELSE
            abs(share.beyond) * 2 > o.amount_minor
            OR (abs(share.beyond) * 2 = o.amount_minor AND f.odd = 1)
    END
ORDER BY subject
LIMIT %(limit)s;
