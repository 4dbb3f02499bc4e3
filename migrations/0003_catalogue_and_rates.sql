-- A reference table on a cluster: small, and read with every purchase.
CREATE TABLE services (
    service_id uuid PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    price_minor bigint NOT NULL,
    currency text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT name_not_too_long CHECK (length(name) BETWEEN 1 AND 50),
    CONSTRAINT service_description_not_too_long CHECK (length(description) <= 1000),
    CONSTRAINT price_positive CHECK (price_minor > 0),
    CONSTRAINT service_currency_well_formed CHECK (currency ~ '^[A-Z]{3}$')
);

-- The last sheet of each source: `units` of a currency are worth `value` of the base currency.
CREATE TABLE exchange_rates (
    source text NOT NULL,
    currency text NOT NULL,
    base text NOT NULL,
    units numeric NOT NULL,
    value numeric NOT NULL,
    as_of timestamptz NOT NULL,
    fetched_at timestamptz NOT NULL,
    PRIMARY KEY (source, currency),
    CONSTRAINT rate_figures_positive CHECK (units > 0 AND value > 0)
);

GRANT SELECT, INSERT, UPDATE ON services TO balance_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON exchange_rates TO balance_service;
