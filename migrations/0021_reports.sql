-- Expands: views for reports, and a role that may read these and nothing else.
--
-- Nobody signs in as the role: the logins of analysts are its members. The views show what their
-- owner may read, so the role needs no right to a table, and none of them has an address, a secret
-- or a text that a caller wrote; docs/operating/reports.md tells of each column.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'balance_reports') THEN
        CREATE ROLE balance_reports NOLOGIN;
    END IF;
EXCEPTION
    -- Roles belong to the whole server: another database may have made it, even just now.
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

CREATE SCHEMA reports;

CREATE VIEW reports.kinds AS
SELECT
    k.kind,
    k.name
FROM (
    VALUES
    (1::smallint, 'deposit'),
    (2::smallint, 'withdrawal'),
    (3::smallint, 'purchase'),
    (4::smallint, 'transfer'),
    (5::smallint, 'deposit_reversal'),
    (6::smallint, 'withdrawal_reversal'),
    (7::smallint, 'refund'),
    (8::smallint, 'transfer_reversal'),
    (9::smallint, 'exchange'),
    (13::smallint, 'exchange_reversal')
) AS k (kind, name);

CREATE VIEW reports.accounts AS
SELECT
    account_id,
    number,
    owner_id,
    currency,
    balance_minor,
    held_minor,
    limit_minor AS overdraft_minor,
    sequence AS entries,
    created_at AS opened_at,
    changed_at,
    CASE status
        WHEN 1 THEN 'active' WHEN 2 THEN 'frozen' WHEN 3 THEN 'closed' WHEN 4 THEN 'debits_frozen'
    END AS status
FROM public.accounts;

-- What holds money or gives it back moves nothing, and is left out.
CREATE VIEW reports.movements AS
SELECT
    m.movement_id,
    k.name AS kind,
    m.from_account_id,
    m.to_account_id,
    m.currency,
    m.amount_minor,
    m.price_currency AS other_currency,
    m.price_minor AS other_minor,
    m.service_id,
    m.quantity,
    m.original_id,
    m.source,
    m.reference,
    m.created_at AS booked_at,
    coalesce(m.effective_at, m.created_at) AS value_at
FROM public.movements AS m
INNER JOIN reports.kinds AS k ON m.kind = k.kind;

CREATE VIEW reports.entries AS
SELECT
    e.account_id,
    e.sequence,
    e.movement_id,
    k.name AS kind,
    e.counterparty_id,
    e.amount_minor,
    e.balance_after_minor,
    e.created_at AS booked_at,
    coalesce(e.effective_at, e.created_at) AS value_at
FROM public.entries AS e
INNER JOIN reports.kinds AS k ON e.kind = k.kind;

-- A refund counts in the month in which it was booked, so that a month that is over stays as it is.
CREATE VIEW reports.sales_by_service_and_month AS
SELECT
    s.month,
    s.service_id,
    services.name AS service,
    s.currency,
    s.purchases,
    s.gross_minor,
    s.refunds,
    s.refunded_minor,
    s.gross_minor - s.refunded_minor AS net_minor
FROM (
    SELECT
        m.currency,
        date_trunc('month', m.created_at AT TIME ZONE 'UTC')::date AS month,
        coalesce(m.service_id, bought.service_id) AS service_id,
        count(*) FILTER (WHERE m.kind = 3) AS purchases,
        coalesce(sum(m.amount_minor) FILTER (WHERE m.kind = 3), 0) AS gross_minor,
        count(*) FILTER (WHERE m.kind = 7) AS refunds,
        coalesce(sum(m.amount_minor) FILTER (WHERE m.kind = 7), 0) AS refunded_minor
    FROM public.movements AS m
    LEFT JOIN public.movements AS bought ON m.original_id = bought.movement_id AND m.kind = 7
    WHERE m.kind IN (3, 7)
    GROUP BY month, coalesce(m.service_id, bought.service_id), m.currency
) AS s
LEFT JOIN public.services ON s.service_id = services.service_id;

-- How many of the minor units, in which all amounts are, make one unit.
CREATE VIEW reports.currencies AS
SELECT
    c.currency,
    c.decimals,
    (10 ^ c.decimals)::bigint AS minor_units
FROM (
    SELECT
        listed.decimals,
        unnest(string_to_array(listed.codes, ' ')) AS currency
    FROM (
        VALUES
        (0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'),
        (
            2,
            'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD '
            || 'BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP '
            || 'ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR '
            || 'ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL '
            || 'MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR '
            || 'NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD '
            || 'SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS '
            || 'UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG'
        ),
        (3, 'BHD IQD JOD KWD LYD OMR TND')
    ) AS listed (decimals, codes)
) AS c;

GRANT USAGE ON SCHEMA reports TO balance_reports;
GRANT SELECT ON ALL TABLES IN SCHEMA reports TO balance_reports;
