-- Every sheet of each source that was in force or will be: `units` of a currency are worth `worth`
-- of the base currency. One row a sheet, so that no reader ever sees two sheets mixed. One a
-- working day: they stay, so that a past balance converts as it did. A reference table on a
-- cluster.
CREATE TABLE rate_sheets (
    source text NOT NULL,
    as_of timestamptz NOT NULL,
    base text NOT NULL,
    currencies text[] NOT NULL,
    units numeric[] NOT NULL,
    worth numeric[] NOT NULL,
    fetched_at timestamptz NOT NULL,
    PRIMARY KEY (source, as_of),
    CONSTRAINT sheet_even CHECK (
        cardinality(units) = cardinality(currencies)
        AND cardinality(worth) = cardinality(currencies)
    ),
    CONSTRAINT sheet_figures_positive CHECK (0 < ALL(units) AND 0 < ALL(worth))
);

-- When each source is next to be asked: whoever moves that on asks it.
CREATE TABLE rate_fetches (
    source text PRIMARY KEY,
    due_at timestamptz NOT NULL
);

-- The version before keeps its last sheets in exchange_rates, and may still be running. That table
-- is dropped by a later release.
INSERT INTO rate_sheets (source, as_of, base, currencies, units, worth, fetched_at)
SELECT
    source,
    as_of,
    min(base) AS base,
    array_agg(currency ORDER BY currency) AS currencies,
    array_agg(units ORDER BY currency) AS units,
    array_agg(value ORDER BY currency) AS worth,
    max(fetched_at) AS fetched_at
FROM exchange_rates
GROUP BY source, as_of;

GRANT SELECT, INSERT, UPDATE ON rate_sheets, rate_fetches TO balance_service;
