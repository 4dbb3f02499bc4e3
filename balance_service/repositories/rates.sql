-- delete_sheet --
-- A source's last sheet.
DELETE FROM exchange_rates
WHERE source = %(source)s

-- insert_sheet --
-- A source's new sheet.
INSERT INTO exchange_rates (source, currency, base, units, value, as_of, fetched_at)
SELECT %(source)s, q.currency, %(base)s, q.units, q.value, %(as_of)s, %(fetched_at)s
FROM unnest(%(currencies)s::text[], %(units)s::numeric[], %(values)s::numeric[])
    AS q (currency, units, value)

-- sheet --
-- A source's last sheet.
SELECT currency, base, units, value, as_of, fetched_at
FROM exchange_rates
WHERE source = %(source)s
