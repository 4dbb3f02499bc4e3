-- delete_sheet --
-- A source's last sheet.
DELETE FROM exchange_rates
WHERE source = %(source)s

-- insert_sheet --
-- A source's new sheet. Two processes that start together may both bring it.
INSERT INTO exchange_rates (source, currency, base, units, value, as_of, fetched_at)
SELECT %(source)s, q.currency, %(base)s, q.units, q.value, %(as_of)s, %(fetched_at)s
FROM unnest(%(currencies)s::text[], %(units)s::numeric[], %(values)s::numeric[])
    AS q (currency, units, value)
ORDER BY q.currency
ON CONFLICT (source, currency) DO UPDATE SET
    base = excluded.base,
    units = excluded.units,
    value = excluded.value,
    as_of = excluded.as_of,
    fetched_at = excluded.fetched_at

-- sheet --
-- A source's last sheet.
SELECT currency, base, units, value, as_of, fetched_at
FROM exchange_rates
WHERE source = %(source)s
