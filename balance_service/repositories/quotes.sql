-- read_clock --
-- The time by Postgres's clock, which dates quotes and judges them.
SELECT clock_timestamp();

-- insert --
-- A new quote, unless its request came before.
INSERT INTO quotes (
    -- begin columns --
    quote_id,
    principal,
    account_id,
    paid_minor,
    paid_currency,
    received_minor,
    received_currency,
    rate,
    rate_source,
    rate_as_of,
    rounding,
    created_at,
    expires_at
    -- end columns --
)
VALUES (
    %(quote_id)s,
    %(principal)s,
    %(account_id)s,
    %(paid_minor)s,
    %(paid_currency)s,
    %(received_minor)s,
    %(received_currency)s,
    %(rate)s,
    %(rate_source)s,
    %(rate_as_of)s,
    %(rounding)s,
    %(created_at)s,
    %(expires_at)s
)
ON CONFLICT (quote_id) DO NOTHING;

-- get --
-- Quotes by id.
SELECT
    -- include columns --
FROM quotes
WHERE quote_id = ANY(%(quote_ids)s::uuid[]);

-- clear_expired --
-- Deletes quotes that expired a while ago and were not used. Those that were stay, and are not
-- looked at again. Tells how many were looked at.
WITH expired AS (
    SELECT
        q.quote_id,
        u.movement_id IS NOT NULL AS used
    FROM quotes AS q
    LEFT JOIN quote_uses AS u ON q.account_id = u.account_id AND q.quote_id = u.quote_id
    WHERE NOT q.kept AND q.expires_at < clock_timestamp() - %(kept_for)s::interval
    ORDER BY q.expires_at
    LIMIT %(limit)s
    FOR UPDATE OF q SKIP LOCKED
),

staying AS (
    UPDATE quotes AS q
    SET kept = TRUE
    FROM expired AS e
    WHERE q.quote_id = e.quote_id AND e.used
),

deleted AS (
    DELETE FROM quotes AS q
    USING expired AS e
    WHERE q.quote_id = e.quote_id AND NOT e.used
)

SELECT count(*) FROM expired;
