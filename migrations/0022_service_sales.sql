-- Expands: sales by service and month, added up with the totals of the ledger.
--
-- By month. What was sold of a service in a month of UTC, by the currency of the account that paid
-- and that of the price. Refunds count in the month in which they were booked. Sums are of
-- movements, each of at least 0.
CREATE TABLE service_sales (
    month date NOT NULL,
    service_id uuid NOT NULL,
    currency text NOT NULL,
    price_currency text NOT NULL,
    purchases bigint NOT NULL,
    quantity bigint NOT NULL,
    gross_minor numeric NOT NULL,
    gross_price_minor numeric NOT NULL,
    refunds bigint NOT NULL,
    refunded_minor numeric NOT NULL,
    refunded_price_minor numeric NOT NULL,
    PRIMARY KEY (month, service_id, currency, price_currency),
    CONSTRAINT sales_of_whole_month CHECK (extract(DAY FROM month) = 1),
    CONSTRAINT sale_not_negative CHECK (
        purchases >= 0 AND quantity >= purchases AND refunds >= 0
        AND gross_minor >= 0 AND gross_price_minor >= 0
        AND refunded_minor >= 0 AND refunded_price_minor >= 0
    )
)
-- A row is added to for as long as its month lasts; room on its page keeps its index as it is.
WITH (fillfactor = 70);

-- Sales go as far as totals do, so both begin again: no release has the one without the other. And
-- they begin when the log of events does, for workers of earlier versions write none.
UPDATE totals_progress
SET
    followed_sequence = (SELECT max(last_sequence) FROM events),
    begins_at = greatest(
        clock_timestamp() + interval '10 seconds',
        (
            SELECT e.numbered_at
            FROM events AS e
            WHERE e.last_sequence = 0
        )
    ),
    built = FALSE
WHERE EXISTS (SELECT FROM accounts);
TRUNCATE ledger_totals;

GRANT SELECT, INSERT ON service_sales TO balance_service;
GRANT UPDATE (
    purchases,
    quantity,
    gross_minor,
    gross_price_minor,
    refunds,
    refunded_minor,
    refunded_price_minor
) ON service_sales TO balance_service;
