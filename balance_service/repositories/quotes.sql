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
