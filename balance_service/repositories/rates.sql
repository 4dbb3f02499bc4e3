-- put_sheet --
-- A source's sheet; one that it corrects takes the place of what it said before.
INSERT INTO rate_sheets AS kept (source, as_of, base, currencies, units, worth, fetched_at)
VALUES (
    %(source)s,
    %(as_of)s,
    %(base)s,
    %(currencies)s::text[],
    %(units)s::numeric[],
    %(worth)s::numeric[],
    %(fetched_at)s
)
ON CONFLICT (source, as_of) DO UPDATE SET
    base = excluded.base,
    currencies = excluded.currencies,
    units = excluded.units,
    worth = excluded.worth,
    fetched_at = excluded.fetched_at
WHERE (kept.base, kept.currencies, kept.units, kept.worth)
    IS DISTINCT FROM (excluded.base, excluded.currencies, excluded.units, excluded.worth);

-- sheets --
-- A source's sheets by time, from the one that is in force at a moment.
SELECT
    s.base,
    s.as_of,
    s.currencies,
    s.units,
    s.worth
FROM rate_sheets AS s
WHERE
    s.source = %(source)s
    AND s.as_of >= coalesce(
        (
            SELECT max(f.as_of)
            FROM rate_sheets AS f
            WHERE f.source = %(source)s AND f.as_of <= %(moment)s
        ),
        %(moment)s
    )
ORDER BY s.as_of
LIMIT %(limit)s;

-- claim_fetch --
-- One caller's turn to ask a source. A time beyond any that is set was set by a wrong clock.
INSERT INTO rate_fetches AS kept (source, due_at)
VALUES (%(source)s, %(due_at)s)
ON CONFLICT (source) DO UPDATE SET due_at = excluded.due_at
WHERE kept.due_at <= %(now)s OR kept.due_at > %(latest)s
RETURNING source;

-- set_fetch_due --
-- When a source that has answered is to be asked again.
INSERT INTO rate_fetches (source, due_at)
VALUES (%(source)s, %(due_at)s)
ON CONFLICT (source) DO UPDATE SET due_at = excluded.due_at;
