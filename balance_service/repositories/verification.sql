-- snapshot --
-- One view of everything, for the rest of the transaction.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY -- noqa: PRS
;

-- keep_partitions --
-- Keeps partitions from being archived meanwhile: a snapshot does not show those that are detached.
LOCK TABLE entries, system_entries IN ACCESS SHARE MODE -- noqa: PRS
;

-- plan_for_whole_tables --
-- Undoes, for this transaction, what bounds the service's other queries: whole tables are scanned,
-- joined in memory where they fit, and take their time.
SELECT
    set_config('enable_seqscan', 'on', true),
    set_config('work_mem', '64MB', true),
    set_config('statement_timeout', '0', true),
    set_config('TimeZone', 'UTC', true);

-- lock --
-- Whether no other run is under way; until the transaction ends, none begins.
SELECT pg_try_advisory_xact_lock(%(lock)s);

-- lock_for_long --
-- The same until the connection ends or `unlock`, through several transactions.
SELECT pg_try_advisory_lock(%(lock)s);

-- unlock --
-- Lets others run.
SELECT pg_advisory_unlock(%(lock)s);

-- read_clock --
-- When the transaction began, by which its day is told.
SELECT now();

-- totals --
-- How much there is to verify.
SELECT
    (SELECT count(*) FROM accounts) AS accounts,
    (SELECT count(*) FROM movements) AS movements,
    (SELECT count(*) FROM entries) AS entries,
    (SELECT count(*) FROM system_entries) AS system_entries;

-- balance_is_sum_of_entries --
-- Accounts whose balance is not the sum of their entries.
SELECT
    a.account_id::text AS subject,
    a.balance_minor AS stored,
    coalesce(b.balance_minor, 0) + coalesce(e.total, 0) AS computed
FROM accounts AS a
LEFT JOIN brought_forward AS b ON a.account_id = b.account_id
LEFT JOIN (
    SELECT account_id, sum(amount_minor) AS total FROM entries GROUP BY account_id
) AS e ON a.account_id = e.account_id
WHERE a.balance_minor <> coalesce(b.balance_minor, 0) + coalesce(e.total, 0)
LIMIT %(limit)s;

-- sequence_without_gaps --
-- Accounts whose entries are not numbered from 1 to the account's sequence.
SELECT
    a.account_id::text AS subject,
    a.sequence AS stored,
    coalesce(b.sequence, 0) + coalesce(e.entries, 0) AS computed
FROM accounts AS a
LEFT JOIN brought_forward AS b ON a.account_id = b.account_id
LEFT JOIN (
    SELECT account_id, count(*) AS entries, max(sequence) AS last
    FROM entries
    GROUP BY account_id
) AS e ON a.account_id = e.account_id
WHERE
    a.sequence <> coalesce(b.sequence, 0) + coalesce(e.entries, 0)
    OR a.sequence <> coalesce(e.last, b.sequence, 0)
LIMIT %(limit)s;

-- balance_after_follows --
-- Entries whose balance_after is not the one before plus their amount, or that go back in time, or
-- do not have the next number: the key of a partition does not know the numbers of another. The
-- first follows from what its account brought forward.
SELECT
    account_id::text || ' #' || sequence AS subject,
    balance_after_minor AS stored,
    coalesce(before_minor, 0) + amount_minor AS computed
FROM (
    SELECT
        account_id,
        sequence,
        amount_minor,
        balance_after_minor,
        created_at,
        lag(sequence) OVER statement AS before_sequence,
        lag(balance_after_minor) OVER statement AS before_minor,
        lag(created_at) OVER statement AS before_at
    FROM (
        SELECT account_id, sequence, amount_minor, balance_after_minor, created_at
        FROM entries
        UNION ALL -- on one server --
        SELECT account_id, sequence, NULL, balance_minor, created_at -- on one server --
        FROM brought_forward -- on one server --
    ) AS forward
    WINDOW statement AS (PARTITION BY account_id ORDER BY sequence)
) AS e
WHERE
    balance_after_minor <> coalesce(before_minor, 0) + amount_minor
    OR created_at < before_at
    OR sequence <> before_sequence + 1
LIMIT %(limit)s;

-- account_is_dated --
-- Accounts that were not last changed when their last entry says, or at their opening without one.
SELECT
    a.account_id::text AS subject,
    a.changed_at AS stored,
    coalesce(e.last_at, b.created_at, a.created_at) AS computed
FROM accounts AS a
LEFT JOIN brought_forward AS b ON a.account_id = b.account_id
LEFT JOIN (
    SELECT account_id, min(created_at) AS first_at, max(created_at) AS last_at
    FROM entries
    GROUP BY account_id
) AS e ON a.account_id = e.account_id
WHERE
    a.changed_at <> coalesce(e.last_at, b.created_at, a.created_at)
    OR least(b.created_at, e.first_at) < a.created_at
LIMIT %(limit)s;

-- limit_respected --
-- Accounts that are below their limit.
SELECT
    account_id::text AS subject,
    balance_minor - held_minor AS stored,
    -limit_minor AS computed
FROM accounts
WHERE balance_minor - held_minor < -limit_minor
LIMIT %(limit)s;

-- spent_is_counted --
-- Accounts changed today that do not count what was debited from them today. What an account counts
-- for an earlier day has no effect any more.
SELECT
    a.account_id::text AS subject,
    a.spent_minor AS stored,
    coalesce(e.total, 0) AS computed
FROM accounts AS a
LEFT JOIN (
    SELECT account_id, least(sum(-amount_minor), %(minor_max)s) AS total
    FROM entries
    WHERE
        amount_minor < 0
        AND kind IN (%(withdrawal)s, %(purchase)s, %(transfer)s, %(exchange)s)
        AND created_at >= %(day_start)s AND created_at < %(day_end)s
    GROUP BY account_id
) AS e ON a.account_id = e.account_id
WHERE
    a.changed_at >= %(day_start)s AND a.changed_at < %(day_end)s
    AND a.spent_minor <> coalesce(e.total, 0)
LIMIT %(limit)s;

-- rules_are_as_last_changed --
-- Accounts whose status or limits are not those that the last recorded change left.
SELECT
    c.account_id::text AS subject,
    (a.status, a.limit_minor, a.debit_limit_minor, a.daily_limit_minor)::text AS stored,
    (c.status, c.limit_minor, c.debit_limit_minor, c.daily_limit_minor)::text AS computed
FROM (
    SELECT DISTINCT ON (account_id)
        account_id,
        status_after AS status,
        limit_after_minor AS limit_minor,
        debit_limit_after_minor AS debit_limit_minor,
        daily_limit_after_minor AS daily_limit_minor
    FROM account_changes
    ORDER BY account_id ASC, change_id DESC
) AS c
LEFT JOIN accounts AS a ON c.account_id = a.account_id
WHERE
    (a.status, a.limit_minor, a.debit_limit_minor, a.daily_limit_minor)
    IS DISTINCT FROM (c.status, c.limit_minor, c.debit_limit_minor, c.daily_limit_minor)
LIMIT %(limit)s;

-- owner_has_account --
-- Accounts that their owner does not lead to, and owners that lead to no such account.
SELECT
    coalesce(a.account_id, o.account_id)::text AS subject,
    a.owner_id || ' in ' || a.currency AS stored,
    o.owner_id || ' in ' || o.currency AS computed
FROM accounts AS a
FULL JOIN account_owners AS o ON a.account_id = o.account_id
WHERE (a.owner_id, a.currency) IS DISTINCT FROM (o.owner_id, o.currency)
LIMIT %(limit)s;

-- number_has_account --
-- Accounts that their number does not lead to, numbers that lead to no such account, and numbers
-- whose last digit does not check the others (Luhn, as in domain/ids.py).
SELECT
    coalesce(a.account_id, n.account_id)::text AS subject,
    a.number AS stored,
    n.number AS computed
FROM accounts AS a
FULL JOIN account_numbers AS n ON a.account_id = n.account_id
WHERE
    a.number IS DISTINCT FROM n.number
    OR mod(
        (
            SELECT sum(CASE WHEN doubled > 9 THEN doubled - 9 ELSE doubled END)
            FROM (
                SELECT substr(a.number::text, 10 - place, 1)::int * (1 + mod(place, 2)) AS doubled
                FROM generate_series(0, 9) AS places (place)
            ) AS digits
        ),
        10
    ) <> 0
LIMIT %(limit)s;

-- movement_sums_to_zero --
-- Movements whose entries do not sum to zero in each currency, or are missing.
SELECT
    m.movement_id::text || ' ' || coalesce(s.currency, '') AS subject,
    0 AS stored,
    s.total AS computed
FROM movements AS m
LEFT JOIN (
    SELECT movement_id, currency, sum(amount_minor) AS total
    FROM (
        SELECT e.movement_id, a.currency, e.amount_minor
        FROM entries AS e
        LEFT JOIN accounts AS a ON e.account_id = a.account_id
        UNION ALL
        SELECT r.movement_id, a.currency, r.amount_minor
        FROM waiting_receipts AS w
        CROSS JOIN LATERAL unnest(w.movement_ids, w.amounts_minor) AS r (movement_id, amount_minor)
        LEFT JOIN accounts AS a ON w.account_id = a.account_id
        UNION ALL
        SELECT e.movement_id, s.currency, e.amount_minor
        FROM system_entries AS e
        LEFT JOIN unnest(%(system_ids)s::uuid[], %(system_currencies)s::text[])
            AS s (account_id, currency) ON e.account_id = s.account_id
    ) AS legs
    GROUP BY movement_id, currency
) AS s ON m.movement_id = s.movement_id
WHERE
    m.created_at >= %(since)s::timestamptz AND m.created_at < %(until)s::timestamptz
    AND CASE
        WHEN m.kind IN (%(hold)s, %(release)s, %(expiry)s) THEN s.total IS NOT NULL
        ELSE s.total IS NULL OR s.total <> 0 OR s.currency IS NULL
    END
LIMIT %(limit)s;

-- entries_are_of_movements --
-- Entries that are not as their movements say, and movements without an entry that they must have.
-- Of a transfer or exchange, the receiver's balance stands on its entry alone; and on none while
-- that waits for its number. A reversal by quote
-- may be too small to take anything from who had received.
SELECT
    coalesce(e.account_id, m.account_id)::text || ' of '
    || coalesce(e.movement_id, m.movement_id) AS subject,
    (
        e.amount_minor,
        e.balance_after_minor,
        e.counterparty_id,
        e.kind,
        e.created_at,
        e.effective_at
    )::text AS stored,
    (
        m.amount_minor,
        m.balance_after_minor,
        m.counterparty_id,
        m.kind,
        m.created_at,
        m.effective_at
    )::text AS computed
FROM (
    SELECT
        account_id,
        movement_id,
        amount_minor,
        balance_after_minor,
        counterparty_id,
        kind,
        created_at,
        effective_at
    FROM entries
    UNION ALL
    SELECT
        w.account_id,
        r.movement_id,
        r.amount_minor,
        NULL,
        r.counterparty_id,
        r.kind,
        w.created_at,
        r.effective_at
    FROM waiting_receipts AS w
    CROSS JOIN LATERAL unnest(
        w.movement_ids, w.amounts_minor, w.counterparty_ids, w.kinds, w.effective_at
    ) AS r (movement_id, amount_minor, counterparty_id, kind, effective_at)
) AS e
FULL JOIN (
    SELECT *
    FROM (
        -- begin user_sides --
        SELECT
            movement_id,
            from_account_id AS account_id,
            to_account_id AS counterparty_id,
            CASE
                WHEN kind IN (%(transfer_reversal)s, %(exchange_reversal)s) AND price_minor IS NOT NULL
                    THEN -price_minor
                ELSE -amount_minor
            END AS amount_minor,
            balance_after_minor,
            kind,
            created_at,
            effective_at
        FROM movements
        WHERE
            kind NOT IN (%(deposit)s, %(withdrawal_reversal)s, %(refund)s)
            AND kind NOT IN (%(hold)s, %(release)s, %(expiry)s)
            AND (
                kind NOT IN (%(transfer_reversal)s, %(exchange_reversal)s)
                OR price_minor IS DISTINCT FROM 0
            )
        UNION ALL
        SELECT
            movement_id,
            to_account_id,
            from_account_id,
            CASE WHEN quote_id IS NULL THEN amount_minor ELSE price_minor END,
            CASE
                WHEN
                    kind IN (%(deposit)s, %(withdrawal_reversal)s, %(refund)s)
                    THEN balance_after_minor
            END,
            kind,
            created_at,
            effective_at
        FROM movements
        WHERE
            kind IN (
                %(deposit)s,
                %(withdrawal_reversal)s,
                %(refund)s,
                %(transfer)s,
                %(transfer_reversal)s,
                %(exchange)s,
                %(exchange_reversal)s
            )
        -- end user_sides --
    ) AS sides
    WHERE created_at >= %(since)s::timestamptz AND created_at < %(until)s::timestamptz
) AS m ON e.movement_id = m.movement_id AND e.account_id = m.account_id
WHERE
    (e.amount_minor, e.counterparty_id, e.kind, e.created_at, e.effective_at)
    IS DISTINCT FROM (m.amount_minor, m.counterparty_id, m.kind, m.created_at, m.effective_at)
    OR e.balance_after_minor <> m.balance_after_minor
LIMIT %(limit)s;

-- system_entries_are_of_movements --
-- System entries that are not as their movements say, or are missing. By quote, the fx accounts give
-- what is paid at the rate, rounded half to even, and the rounding account takes what the receiver
-- does not get of it. A reversal takes a share of both, rounded so that all parts take the whole: the
-- entries of the account that is paid back tell the order of the parts; those before what is looked at
-- count together.
-- begin by_quote --
WITH exchanged AS (
    SELECT
        movement_id,
        price_currency,
        price_minor,
        created_at,
        amount_minor,
        div(exact, unit) + CASE
            WHEN mod(exact, unit) * 2 > unit THEN 1
            WHEN mod(exact, unit) * 2 = unit THEN mod(div(exact, unit), 2)
            ELSE 0
        END AS exchanged_minor
    FROM (
        SELECT
            m.movement_id,
            m.price_currency,
            m.price_minor,
            m.created_at,
            m.amount_minor,
            m.amount_minor * m.rate * target.units AS exact,
            paid.units AS unit
        FROM movements AS m
        LEFT JOIN unnest(%(currencies)s::text[], %(units)s::numeric[]) AS paid (currency, units)
            ON m.currency = paid.currency
        LEFT JOIN unnest(%(currencies)s::text[], %(units)s::numeric[]) AS target (currency, units)
            ON m.price_currency = target.currency
        WHERE m.quote_id IS NOT NULL
    ) AS exact_parts
),

returned_until AS (
    SELECT
        *,
        div(exact, unit) + CASE
            WHEN mod(exact, unit) * 2 > unit THEN 1
            WHEN mod(exact, unit) * 2 = unit THEN mod(div(exact, unit), 2)
            ELSE 0
        END AS until_minor
    FROM (
        SELECT
            m.movement_id,
            m.original_id,
            m.price_currency,
            m.price_minor,
            m.created_at,
            e.sequence,
            o.amount_minor AS unit,
            o.exchanged_minor
            * sum(m.amount_minor)
                OVER (PARTITION BY m.original_id ORDER BY e.sequence NULLS FIRST)
                AS exact
        FROM movements AS m
        INNER JOIN exchanged AS o ON m.original_id = o.movement_id
        LEFT JOIN entries AS e
            ON m.to_account_id = e.account_id AND m.movement_id = e.movement_id
        WHERE
            (e.sequence IS NOT NULL OR m.created_at < %(since)s::timestamptz)
            AND m.created_at < %(until)s::timestamptz
    ) AS exact_parts
),

by_quote AS (
    SELECT movement_id, price_currency, price_minor, created_at, exchanged_minor
    FROM exchanged
    UNION ALL
    SELECT
        movement_id,
        price_currency,
        -price_minor,
        created_at,
        lag(until_minor, 1, 0::numeric)
            OVER (PARTITION BY original_id ORDER BY sequence NULLS FIRST)
        - until_minor
    FROM returned_until
)
-- end by_quote --

SELECT
    coalesce(e.account_id, m.account_id)::text || ' of '
    || coalesce(e.movement_id, m.movement_id) AS subject,
    (e.amount_minor, e.created_at)::text AS stored,
    (m.amount_minor, m.created_at)::text AS computed
FROM system_entries AS e
FULL JOIN (
    -- begin system_sides --
    SELECT sides.movement_id, s.account_id, sides.amount_minor, sides.created_at
    FROM (
        SELECT
            movement_id,
            'settlement' AS role,
            currency,
            CASE WHEN kind IN (%(deposit)s, %(withdrawal_reversal)s) THEN -1 ELSE 1 END
            * amount_minor AS amount_minor,
            created_at
        FROM movements
        WHERE
            kind IN (
                %(deposit)s,
                %(withdrawal_reversal)s,
                %(withdrawal)s,
                %(deposit_reversal)s
            )
        UNION ALL
        SELECT
            movement_id,
            'revenue',
            coalesce(price_currency, currency),
            CASE kind WHEN %(refund)s THEN -1 ELSE 1 END * coalesce(price_minor, amount_minor),
            created_at
        FROM movements
        WHERE kind IN (%(purchase)s, %(refund)s) AND price_minor IS DISTINCT FROM 0
        UNION ALL
        SELECT
            movement_id,
            'fx',
            currency,
            CASE
                WHEN kind IN (%(refund)s, %(transfer_reversal)s, %(exchange_reversal)s) THEN -1
                ELSE 1
            END * amount_minor,
            created_at
        FROM movements
        WHERE
            price_minor IS NOT NULL
            AND kind NOT IN (%(hold)s, %(release)s, %(expiry)s)
        UNION ALL
        SELECT
            movement_id,
            'fx',
            price_currency,
            CASE kind WHEN %(refund)s THEN 1 ELSE -1 END * price_minor,
            created_at
        FROM movements
        WHERE kind IN (%(purchase)s, %(refund)s) AND price_minor > 0
        UNION ALL
        SELECT movement_id, 'fx', price_currency, -exchanged_minor, created_at
        FROM by_quote
        WHERE exchanged_minor <> 0
        UNION ALL
        SELECT movement_id, 'rounding', price_currency, exchanged_minor - price_minor, created_at
        FROM by_quote
        WHERE exchanged_minor <> price_minor
    ) AS sides
    INNER JOIN
        unnest(%(system_ids)s::uuid[], %(system_roles)s::text[], %(system_currencies)s::text[])
            AS s (account_id, role, currency)
        ON sides.role = s.role AND sides.currency = s.currency
    -- end system_sides --
    WHERE
        sides.created_at >= %(since)s::timestamptz AND sides.created_at < %(until)s::timestamptz
) AS m ON e.movement_id = m.movement_id AND e.account_id = m.account_id
WHERE (e.amount_minor, e.created_at) IS DISTINCT FROM (m.amount_minor, m.created_at)
LIMIT %(limit)s;

-- system_balance_is_sum_of_entries --
-- System accounts whose balance, with what waits to be rolled up and without what was brought
-- forward, is not the sum of their entries.
-- begin system_balances_kept --
SELECT
    coalesce(k.account_id, e.account_id)::text AS subject,
    coalesce(k.total, 0) AS stored,
    coalesce(e.total, 0) AS computed
FROM (
    SELECT account_id, sum(amount_minor) AS total, sum(entries) AS entries
    FROM (
        SELECT account_id, balance_minor AS amount_minor, entries FROM system_accounts
        UNION ALL
        SELECT account_id, amount_minor, entries FROM system_deltas
        UNION ALL
        SELECT account_id, -amount_minor, -entries FROM system_brought_forward
    ) AS parts
    GROUP BY account_id
) AS k
-- end system_balances_kept --
FULL JOIN (
    SELECT account_id, sum(amount_minor) AS total, count(*) AS entries
    FROM system_entries
    GROUP BY account_id
) AS e ON k.account_id = e.account_id
WHERE coalesce(k.total, 0) <> coalesce(e.total, 0) OR coalesce(k.entries, 0) <> coalesce(e.entries, 0)
LIMIT %(limit)s;

-- brought_forward_is_of_movements --
-- Accounts that brought forward something else than their movements before the horizon add up to.
SELECT
    coalesce(b.account_id, m.account_id)::text AS subject,
    (b.sequence, b.balance_minor, b.created_at)::text AS stored,
    (m.entries, m.total, m.last_at)::text AS computed
FROM brought_forward AS b
FULL JOIN (
    SELECT
        account_id,
        count(*) AS entries,
        sum(amount_minor) AS total,
        max(created_at) AS last_at
    FROM (
        -- include user_sides --
    ) AS sides
    WHERE
        created_at < %(since)s::timestamptz
        AND %(since)s::timestamptz > '-infinity'
    GROUP BY account_id
) AS m ON b.account_id = m.account_id
WHERE
    (b.sequence, b.balance_minor, b.created_at) IS DISTINCT FROM (m.entries, m.total, m.last_at)
LIMIT %(limit)s;

-- system_brought_forward_is_of_movements --
-- The like of system accounts; of how many entries a movement has, only its sides tell.
-- include by_quote --

SELECT
    coalesce(b.account_id, m.account_id)::text AS subject,
    coalesce(b.amount_minor, 0) AS stored,
    coalesce(m.total, 0) AS computed
FROM system_brought_forward AS b
FULL JOIN (
    SELECT account_id, sum(amount_minor) AS total
    FROM (
        -- include system_sides --
        WHERE
            sides.created_at < %(since)s::timestamptz
            AND %(since)s::timestamptz > '-infinity'
    ) AS before
    GROUP BY account_id
) AS m ON b.account_id = m.account_id
WHERE coalesce(b.amount_minor, 0) <> coalesce(m.total, 0)
LIMIT %(limit)s;

-- archive_is_of_movements --
-- Periods in files that do not begin where the one before ends, or of which another number of
-- entries, sum or last value date is kept than their movements say.
SELECT
    a.ends_at AS subject,
    (a.starts_at, a.entries, a.entries_minor, a.values_end_at)::text AS stored,
    (a.before_at, coalesce(m.entries, 0), coalesce(m.total, 0), m.values_end_at)::text AS computed
FROM (
    SELECT *, lag(ends_at) OVER (ORDER BY ends_at) AS before_at FROM archives
) AS a
LEFT JOIN (
    SELECT
        period.ends_at,
        count(*) AS entries,
        sum(sides.amount_minor) AS total,
        max(coalesce(sides.effective_at, sides.created_at)) AS values_end_at
    FROM (
        -- include user_sides --
    ) AS sides
    INNER JOIN archives AS period
        ON
            sides.created_at < period.ends_at
            AND (period.starts_at IS NULL OR sides.created_at >= period.starts_at)
    WHERE %(since)s::timestamptz > '-infinity'
    GROUP BY period.ends_at
) AS m ON a.ends_at = m.ends_at
WHERE
    (a.starts_at, a.entries, a.entries_minor, a.values_end_at)
    IS DISTINCT FROM
    (a.before_at, coalesce(m.entries, 0), coalesce(m.total, 0), m.values_end_at)
LIMIT %(limit)s;

-- archives_add_up --
-- What periods in files have together, where it is not what was brought forward.
SELECT
    'archives' AS subject,
    archived.sums AS stored,
    forward.sums AS computed
FROM (
    SELECT
        (
            coalesce(sum(entries), 0),
            coalesce(sum(entries_minor), 0),
            coalesce(sum(system_entries), 0),
            coalesce(sum(system_entries_minor), 0)
        )::text AS sums
    FROM archives
) AS archived
CROSS JOIN (
    SELECT
        (
            (SELECT coalesce(sum(sequence), 0) FROM brought_forward),
            (SELECT coalesce(sum(balance_minor), 0) FROM brought_forward),
            (SELECT coalesce(sum(entries), 0) FROM system_brought_forward),
            (SELECT coalesce(sum(amount_minor), 0) FROM system_brought_forward)
        )::text AS sums
) AS forward
WHERE archived.sums <> forward.sums
LIMIT %(limit)s;

-- entry_is_after_horizon --
-- Entries that were booked in a time whose entries are in files.
SELECT
    account_id::text || ' #' || sequence AS subject,
    created_at AS stored,
    %(since)s AS computed
FROM entries
WHERE created_at < %(since)s::timestamptz
UNION ALL
SELECT
    account_id::text || ' of ' || movement_id,
    created_at,
    %(since)s
FROM system_entries
WHERE created_at < %(since)s::timestamptz
LIMIT %(limit)s;

-- system_account_is_named --
-- System accounts whose id is not that of their name, or their name not that of their currency.
SELECT
    a.account_id::text AS subject,
    a.name || ' in ' || a.currency AS stored,
    s.name || ' in ' || s.currency AS computed
FROM system_accounts AS a
LEFT JOIN unnest(%(system_ids)s::uuid[], %(system_names)s::text[], %(system_currencies)s::text[])
    AS s (account_id, name, currency) ON a.account_id = s.account_id
WHERE (a.name, a.currency) IS DISTINCT FROM (s.name, s.currency)
LIMIT %(limit)s;

-- movement_is_of_its_kind --
-- Movements whose other side is not the system account of their kind and currency, or that say what
-- their kind does not have.
SELECT
    m.movement_id::text AS subject,
    m.other_id::text AS stored,
    s.account_id::text AS computed
FROM (
    SELECT
        *,
        quote_id IS NOT NULL OR kind IN (%(transfer_reversal)s, %(exchange_reversal)s) AS by_quote,
        CASE
            WHEN kind IN (%(deposit)s, %(withdrawal_reversal)s, %(refund)s) THEN from_account_id
            ELSE to_account_id
        END AS other_id,
        CASE
            WHEN kind IN (%(purchase)s, %(refund)s) OR service_id IS NOT NULL THEN 'revenue'
            WHEN
                kind IN (
                    %(deposit)s,
                    %(withdrawal_reversal)s,
                    %(withdrawal)s,
                    %(deposit_reversal)s
                )
                THEN 'settlement'
        END AS other_role
    FROM movements
) AS m
LEFT JOIN unnest(%(system_ids)s::uuid[], %(system_roles)s::text[], %(system_currencies)s::text[])
    AS s (account_id, role, currency)
    ON m.other_role = s.role AND s.currency = coalesce(m.price_currency, m.currency)
WHERE
    (m.other_role IS NOT NULL AND m.other_id IS DISTINCT FROM s.account_id)
    OR (m.reference IS NOT NULL AND m.kind NOT IN (%(deposit)s, %(withdrawal)s, %(hold)s))
    OR (m.whole AND (m.original_id IS NULL OR m.kind IN (%(release)s, %(expiry)s)))
    OR (
        m.final
        AND (m.original_id IS NULL OR m.kind NOT IN (%(withdrawal)s, %(purchase)s, %(transfer)s))
    )
    OR (
        m.rate IS NOT NULL
        AND (
            (m.kind NOT IN (%(purchase)s, %(refund)s, %(hold)s) AND NOT m.by_quote)
            OR (m.other_role IS NULL AND NOT m.by_quote)
            OR m.price_currency = m.currency
        )
    )
LIMIT %(limit)s;

-- movement_in_its_accounts_currency --
-- Movements of users' accounts that do not exist, or are kept in another currency.
SELECT
    m.movement_id::text || ' of ' || m.account_id AS subject,
    m.currency AS stored,
    a.currency AS computed
FROM (
    SELECT
        movement_id,
        from_account_id AS account_id,
        CASE
            WHEN
                kind IN (%(transfer_reversal)s, %(exchange_reversal)s)
                THEN coalesce(price_currency, currency)
            ELSE currency
        END AS currency
    FROM movements
    WHERE kind NOT IN (%(deposit)s, %(withdrawal_reversal)s, %(refund)s)
    UNION ALL
    SELECT
        movement_id,
        to_account_id,
        CASE WHEN quote_id IS NULL THEN currency ELSE price_currency END
    FROM movements
    WHERE
        kind IN (
            %(deposit)s,
            %(withdrawal_reversal)s,
            %(refund)s,
            %(transfer)s,
            %(transfer_reversal)s,
            %(exchange)s,
            %(exchange_reversal)s
        )
) AS m
LEFT JOIN accounts AS a ON m.account_id = a.account_id
WHERE m.currency IS DISTINCT FROM a.currency
LIMIT %(limit)s;

-- movement_id_is_derived --
-- Movements whose id does not follow from principal and request id, as in domain/ids.py; a version 8
-- id always does.
SELECT
    movement_id::text AS subject,
    request_id::text AS stored,
    derived_id::text AS computed
FROM (
    SELECT
        movement_id,
        request_id,
        (
            CASE
                WHEN sent ~ '^.{12}7.{3}[89ab]' THEN left(sent, 12) || '7'
                ELSE left(digest, 12) || '8'
            END
            || substr(digest, 14, 3)
            || translate(substr(digest, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab')
            || substr(digest, 18, 15)
        )::uuid AS derived_id
    FROM (
        SELECT
            movement_id,
            request_id,
            replace(request_id::text, '-', '') AS sent,
            encode(
                sha256(convert_to(principal, 'UTF8') || '\x00'::bytea || uuid_send(request_id)),
                'hex'
            ) AS digest
        FROM movements
    ) AS sent_and_digest
) AS m
WHERE
    movement_id <> derived_id
    OR (request_id IS NULL AND movement_id::text ~ '^.{14}8')
LIMIT %(limit)s;

-- amount_follows_from_rate --
-- Movements whose amount is not the price at the rate, rounded half to even. What follows another
-- has a share of its amount and price.
SELECT
    movement_id::text AS subject,
    amount_minor AS stored,
    exact / unit AS computed
FROM (
    SELECT
        m.movement_id,
        m.amount_minor,
        m.price_minor * m.rate * target.units AS exact,
        price.units AS unit,
        abs(m.price_minor * m.rate * target.units - m.amount_minor * price.units) * 2 AS off_twice
    FROM movements AS m
    LEFT JOIN unnest(%(currencies)s::text[], %(units)s::numeric[]) AS price (currency, units)
        ON m.price_currency = price.currency
    LEFT JOIN unnest(%(currencies)s::text[], %(units)s::numeric[]) AS target (currency, units)
        ON m.currency = target.currency
    WHERE m.rate IS NOT NULL AND m.original_id IS NULL AND m.quote_id IS NULL
) AS m
WHERE (off_twice < unit OR (off_twice = unit AND mod(amount_minor, 2) = 0)) IS NOT TRUE
LIMIT %(limit)s;

-- quote_follows_from_rate --
-- Quotes whose amounts do not follow from each other by the rate: what is received rounded down
-- where what is paid was fixed, and what is paid rounded up where what is received was.
SELECT
    quote_id::text AS subject,
    paid_minor || ' for ' || received_minor AS stored,
    exact / unit AS computed
FROM (
    SELECT
        q.quote_id,
        q.paid_minor,
        q.received_minor,
        q.rounding,
        q.paid_minor * q.rate * received.units AS exact,
        q.rate * received.units AS exact_of_one,
        paid.units AS unit
    FROM quotes AS q
    LEFT JOIN unnest(%(currencies)s::text[], %(units)s::numeric[]) AS paid (currency, units)
        ON q.paid_currency = paid.currency
    LEFT JOIN unnest(%(currencies)s::text[], %(units)s::numeric[]) AS received (currency, units)
        ON q.received_currency = received.currency
) AS q
WHERE (
    exact >= received_minor * unit
    AND CASE rounding
        WHEN %(rounding_down)s THEN exact < (received_minor + 1) * unit
        WHEN %(rounding_up)s THEN exact - exact_of_one < received_minor * unit
    END
) IS NOT TRUE
LIMIT %(limit)s;

-- movement_is_as_quoted --
-- Movements by quote whose quote is missing, or was made for another caller, account or amount.
SELECT
    m.movement_id::text AS subject,
    (
        m.principal, m.from_account_id, m.amount_minor, m.currency, m.price_minor,
        m.price_currency, m.rate, m.rate_source, m.rate_as_of
    )::text AS stored,
    (
        q.principal, q.account_id, q.paid_minor, q.paid_currency, q.received_minor,
        q.received_currency, q.rate, q.rate_source, q.rate_as_of
    )::text AS computed
FROM movements AS m
LEFT JOIN quotes AS q ON m.quote_id = q.quote_id
WHERE
    m.quote_id IS NOT NULL
    AND (
        m.principal, m.from_account_id, m.amount_minor, m.currency, m.price_minor,
        m.price_currency, m.rate, m.rate_source, m.rate_as_of
    ) IS DISTINCT FROM (
        q.principal, q.account_id, q.paid_minor, q.paid_currency, q.received_minor,
        q.received_currency, q.rate, q.rate_source, q.rate_as_of
    )
LIMIT %(limit)s;

-- quote_is_used_once --
-- Uses of quotes that are not as their movements say, or are missing; the key holds each only once.
SELECT
    coalesce(u.movement_id, m.movement_id)::text AS subject,
    u.account_id || ' used ' || u.quote_id AS stored,
    m.account_id || ' used ' || m.quote_id AS computed
FROM quote_uses AS u
FULL JOIN (
    SELECT movement_id, from_account_id AS account_id, quote_id
    FROM movements
    WHERE quote_id IS NOT NULL
) AS m ON u.movement_id = m.movement_id
WHERE (u.account_id, u.quote_id) IS DISTINCT FROM (m.account_id, m.quote_id)
LIMIT %(limit)s;

-- exchange_stays_with_its_owner --
-- Exchanges between accounts of different owners.
SELECT
    m.movement_id::text AS subject,
    payer.owner_id::text AS stored,
    receiver.owner_id::text AS computed
FROM movements AS m
LEFT JOIN accounts AS payer ON m.from_account_id = payer.account_id
LEFT JOIN accounts AS receiver ON m.to_account_id = receiver.account_id
WHERE m.kind = %(exchange)s AND payer.owner_id IS DISTINCT FROM receiver.owner_id
LIMIT %(limit)s;

-- purchase_has_movement --
-- Purchases that are not as their movements say, or are missing, or of no service. What was refunded
-- whole may have been bought again since; a purchase that several captures make is that of one.
-- Those of services that may be bought repeatedly are kept in the journal alone; their total is of
-- their quantity.
SELECT
    coalesce(p.movement_id, m.movement_id)::text AS subject,
    p.account_id || ' bought ' || p.service_id AS stored,
    m.account_id || ' bought ' || m.service_id AS computed
FROM purchases AS p
FULL JOIN (
    SELECT
        movement_id,
        from_account_id AS account_id,
        service_id,
        original_id,
        quantity,
        coalesce(price_minor, amount_minor) AS total_minor,
        amount_minor > coalesce((
            SELECT sum(f.amount_minor) FROM follows AS f WHERE f.original_id = b.movement_id
        ), 0) AS in_force
    FROM movements AS b
    WHERE kind = %(purchase)s
) AS m ON p.movement_id = m.movement_id
LEFT JOIN services AS s ON coalesce(p.service_id, m.service_id) = s.service_id
WHERE
    CASE
        WHEN m.quantity IS NOT NULL
            THEN
                p.movement_id IS NOT NULL
                OR s.service_id IS NULL
                OR (m.original_id IS NULL AND mod(m.total_minor, m.quantity) <> 0)
        WHEN p.movement_id IS NULL
            THEN
                NOT EXISTS (
                    SELECT
                    FROM purchases AS other
                    INNER JOIN movements AS first ON other.movement_id = first.movement_id
                    WHERE
                        other.account_id = m.account_id
                        AND other.service_id = m.service_id
                        AND (NOT m.in_force OR first.original_id = m.original_id)
                )
        ELSE
            (p.account_id, p.service_id) IS DISTINCT FROM (m.account_id, m.service_id)
            OR s.service_id IS NULL
    END
LIMIT %(limit)s;

-- reference_has_movement --
-- References that are not as their movements say, or are missing. What versions before 0004 took
-- stands in external_references alone.
SELECT
    coalesce(c.movement_id, m.movement_id)::text AS subject,
    (c.principal, c.source, c.reference)::text AS stored,
    (m.principal, m.source, m.reference)::text AS computed
FROM caller_references AS c
FULL JOIN (
    SELECT movement_id, principal, source, reference
    FROM movements
    WHERE reference IS NOT NULL
) AS m ON c.movement_id = m.movement_id
LEFT JOIN external_references AS e ON c.movement_id IS NULL AND m.movement_id = e.movement_id
WHERE
    (c.principal, c.source, c.reference) IS DISTINCT FROM (m.principal, m.source, m.reference)
    AND e.movement_id IS NULL
UNION ALL
SELECT
    e.movement_id::text,
    (e.source, e.reference)::text,
    (m.source, m.reference)::text
FROM external_references AS e
LEFT JOIN movements AS m ON e.movement_id = m.movement_id
WHERE (e.source, e.reference) IS DISTINCT FROM (m.source, m.reference)
LIMIT %(limit)s;

-- balances --
-- The trial balance: all users' and all system accounts' money by currency, which sums to zero.
SELECT
    currency,
    sum(users_minor) AS users_minor,
    sum(system_minor) AS system_minor
FROM (
    SELECT currency, sum(balance_minor) AS users_minor, 0 AS system_minor
    FROM accounts
    GROUP BY currency
    UNION ALL
    SELECT a.currency, sum(s.received_minor), 0
    FROM sub_accounts AS s
    INNER JOIN accounts AS a ON s.account_id = a.account_id
    GROUP BY a.currency
    UNION ALL
    SELECT s.currency, 0, sum(e.amount_minor)
    FROM system_entries AS e
    INNER JOIN unnest(%(system_ids)s::uuid[], %(system_currencies)s::text[])
        AS s (account_id, currency) ON e.account_id = s.account_id
    GROUP BY s.currency
    UNION ALL
    SELECT s.currency, 0, b.amount_minor
    FROM system_brought_forward AS b
    INNER JOIN unnest(%(system_ids)s::uuid[], %(system_currencies)s::text[])
        AS s (account_id, currency) ON b.account_id = s.account_id
) AS sides
GROUP BY currency
ORDER BY currency;
