-- roll_up --
-- Adds what follows in the log of events to the totals, some thousand events and one commit at
-- most, and says whether something was sold; another that does so now is left to it.
WITH progress AS (
    SELECT
        followed_sequence,
        begins_at
    FROM totals_progress
    FOR UPDATE SKIP LOCKED
),

taken AS (
    SELECT
        e.last_sequence,
        e.movement_ids,
        e.from_sequences,
        e.to_sequences,
        e.kind,
        e.subject_id,
        p.followed_sequence AS after_sequence
    FROM events AS e
    CROSS JOIN progress AS p
    WHERE
        e.last_sequence > p.followed_sequence
        AND e.last_sequence <= p.followed_sequence + %(reach)s + %(commit_max)s
        AND e.last_sequence - e.size < p.followed_sequence + %(reach)s
),

-- begin posted --
-- Written apart: Citus takes no function among the parts of a union.
system AS (
    SELECT *
    FROM unnest(
        %(system_ids)s::uuid[],
        %(system_roles)s::text[],
        %(system_currencies)s::text[]
    ) AS s (account_id, role, currency)
),

moved AS (
    SELECT
        m.movement_id,
        m.created_at,
        m.kind,
        item.from_sequence,
        item.to_sequence,
        m.price_currency,
        CASE
            WHEN m.kind = ANY(%(given_back_kinds)s::smallint[])
                THEN coalesce(m.price_minor, m.amount_minor)
            ELSE m.amount_minor
        END AS given_minor,
        CASE WHEN m.quote_id IS NULL THEN m.amount_minor ELSE m.price_minor END AS received_minor,
        CASE
            WHEN m.kind = ANY(%(given_back_kinds)s::smallint[])
                THEN coalesce(m.price_currency, m.currency)
            ELSE m.currency
        END AS from_currency,
        CASE
            WHEN m.kind = ANY(%(received_kinds)s::smallint[])
                THEN coalesce(m.price_currency, m.currency)
            ELSE m.currency
        END AS to_currency
    FROM taken AS t
    CROSS JOIN LATERAL unnest(t.movement_ids, t.from_sequences, t.to_sequences)
        AS item (movement_id, from_sequence, to_sequence)
    CROSS JOIN LATERAL (
        SELECT *
        FROM movements
        WHERE movements.movement_id = item.movement_id
        LIMIT 1 -- on one server --
    ) AS m
    WHERE m.created_at >= (SELECT p.begins_at FROM progress AS p)
),

posted AS (
    -- As the movement says, which spares looking for its entries; `verify` holds these to it.
    SELECT
        'users' AS role,
        side.currency,
        side.amount_minor,
        0 AS opened,
        moved.created_at
    FROM moved
    CROSS JOIN LATERAL (
        VALUES
        (moved.from_sequence, moved.from_currency, -moved.given_minor),
        (moved.to_sequence, moved.to_currency, moved.received_minor)
    ) AS side (sequence, currency, amount_minor)
    WHERE side.sequence IS NOT NULL
    UNION ALL
    SELECT
        system.role,
        system.currency,
        entry.amount_minor,
        0 AS opened,
        moved.created_at
    FROM moved
    CROSS JOIN LATERAL (
        SELECT
            system_entries.account_id,
            system_entries.amount_minor
        FROM system_entries
        WHERE system_entries.movement_id = moved.movement_id
        LIMIT 10 -- on one server --
    ) AS entry
    INNER JOIN system ON entry.account_id = system.account_id
    -- Between two users in one currency there is none.
    WHERE
        moved.from_sequence IS NULL
        OR moved.to_sequence IS NULL
        OR moved.price_currency IS NOT NULL
    UNION ALL
    SELECT
        'users' AS role,
        account.currency,
        0 AS amount_minor,
        1 AS opened,
        account.created_at
    FROM taken AS t
    CROSS JOIN LATERAL (
        SELECT
            accounts.currency,
            accounts.created_at
        FROM accounts
        WHERE accounts.account_id = t.subject_id
        LIMIT 1 -- on one server --
    ) AS account
    WHERE
        t.kind = %(account_opened)s
        AND account.created_at >= (SELECT p.begins_at FROM progress AS p)
),
-- end posted --

added AS (
    INSERT INTO ledger_totals AS total (
        span,
        starts_at,
        role,
        currency,
        debit_minor,
        credit_minor,
        entries,
        opened
    )
    SELECT
        span.number,
        date_trunc(span.unit, moments.created_at, 'UTC') AS starts_at,
        moments.role,
        moments.currency,
        sum(moments.debit_minor) AS debit_minor,
        sum(moments.credit_minor) AS credit_minor,
        sum(moments.entries) AS entries,
        sum(moments.opened) AS opened
    FROM (
        -- Those of one commit have their moment in common, and so are few.
        SELECT
            posted.created_at,
            posted.role,
            posted.currency,
            sum(greatest(-posted.amount_minor, 0)) AS debit_minor,
            sum(greatest(posted.amount_minor, 0)) AS credit_minor,
            count(nullif(posted.amount_minor, 0)) AS entries,
            sum(posted.opened) AS opened
        FROM posted
        GROUP BY posted.created_at, posted.role, posted.currency
    ) AS moments
    CROSS JOIN (VALUES (1, 'minute'), (2, 'day')) AS span (number, unit)
    GROUP BY
        span.number,
        date_trunc(span.unit, moments.created_at, 'UTC'),
        moments.role,
        moments.currency
    ORDER BY span.number, starts_at, moments.role, moments.currency
    ON CONFLICT (span, starts_at, role, currency) DO UPDATE SET
        debit_minor = total.debit_minor + excluded.debit_minor,
        credit_minor = total.credit_minor + excluded.credit_minor,
        entries = total.entries + excluded.entries,
        opened = total.opened + excluded.opened
),

sold AS (
    SELECT bool_or(moved.kind IN (%(purchase)s, %(refund)s)) AS any_sold
    FROM moved
)

UPDATE totals_progress AS p
SET followed_sequence = followed.last_sequence
FROM (
    SELECT
        max(taken.after_sequence) AS after_sequence,
        max(taken.last_sequence) AS last_sequence,
        count(*) AS taken
    FROM taken
) AS followed
CROSS JOIN sold
WHERE followed.taken > 0
RETURNING
    followed.taken,
    followed.after_sequence,
    followed.last_sequence,
    sold.any_sold;

-- progress --
-- Whether the totals have all that was posted before they began, up to which event they go, which
-- one is the newest, and how many commits have no number yet, of which some are counted.
SELECT
    p.built,
    p.followed_sequence,
    (SELECT e.last_sequence FROM events AS e
ORDER BY e.last_sequence DESC LIMIT 1) AS newest,
    (SELECT count(*) FROM (SELECT FROM outbox LIMIT %(limit)s) AS o) AS unnumbered,
    clock_timestamp() AS now
FROM totals_progress AS p;

-- lack --
-- Something that has a number, was written before a moment, and is not in the totals yet.
SELECT e.last_sequence
FROM events AS e
WHERE
    e.last_sequence > (SELECT p.followed_sequence FROM totals_progress AS p)
    AND e.created_at < %(moment)s
LIMIT 1;

-- at --
-- What was posted before a moment, in one snapshot: days and minutes that were rolled up, and what
-- was not yet. Without a moment it is all that was posted.
WITH progress AS (
    SELECT
p.begins_at,
p.followed_sequence
FROM totals_progress AS p
),

taken AS ( -- noqa: ST03
    SELECT
        e.movement_ids,
        e.from_sequences,
        e.to_sequences,
        e.kind,
        e.subject_id
    FROM events AS e
    WHERE e.last_sequence > (SELECT p.followed_sequence FROM progress AS p)
    UNION ALL
    SELECT
        o.movement_ids,
        o.from_sequences,
        o.to_sequences,
        o.kind,
        o.subject_id
    FROM outbox AS o
),

-- include posted --

counted AS (
    SELECT *
    FROM ledger_totals AS t
    WHERE t.span = 2 AND t.starts_at < coalesce(%(day)s::timestamptz, 'infinity')
    UNION ALL
    SELECT *
    FROM ledger_totals AS t
    WHERE t.span = 1 AND t.starts_at >= %(day)s AND t.starts_at < %(moment)s
    UNION ALL
    SELECT
        0 AS span,
        posted.created_at,
        posted.role,
        posted.currency,
        greatest(-posted.amount_minor, 0) AS debit_minor,
        greatest(posted.amount_minor, 0) AS credit_minor,
        CASE posted.amount_minor WHEN 0 THEN 0 ELSE 1 END AS entries,
        posted.opened
    FROM posted
    WHERE posted.created_at < coalesce(%(moment)s::timestamptz, 'infinity')
)

SELECT
    c.role,
    c.currency,
    sum(c.debit_minor) AS debit_minor,
    sum(c.credit_minor) AS credit_minor,
    sum(c.entries)::bigint AS entries,
    sum(c.opened)::bigint AS opened
FROM counted AS c
GROUP BY c.role, c.currency
ORDER BY c.currency, c.role;

-- days --
-- What was posted on each of some days, without what was not rolled up yet.
SELECT
    t.starts_at,
    t.role,
    t.currency,
    t.debit_minor,
    t.credit_minor,
    t.entries,
    t.opened
FROM ledger_totals AS t
WHERE t.span = 2 AND t.starts_at >= %(since)s AND t.starts_at < %(before)s
ORDER BY t.starts_at, t.currency, t.role;

-- read_horizon --
-- The clock, and then the transactions under way that may have read it before. Each has a lock on
-- its own number from before it reads the clock until what it did can be seen.
SELECT
    statement_timestamp() AS now,
    ARRAY(
        SELECT l.transactionid::text
        FROM pg_locks AS l
        WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
    ) AS transaction_ids;

-- is_over --
-- Whether some transactions are over.
SELECT NOT EXISTS (
    SELECT
    FROM pg_locks AS l
    WHERE
        l.locktype = 'transactionid'
        AND l.mode = 'ExclusiveLock'
        AND l.granted
        AND l.transactionid::text = ANY(%(transaction_ids)s::text[])
) AS is_over;

-- plan_for_whole_tables --
-- For this transaction: the whole journal is read, which takes its time.
SELECT
    set_config('enable_seqscan', 'on', TRUE) AS scans,
    set_config('work_mem', '64MB', TRUE) AS memory,
    set_config('statement_timeout', '0', TRUE) AS patience;

-- lock_building --
-- One builds at a time: whoever waits here sees afterwards what was built.
SELECT pg_advisory_xact_lock(%(lock)s);

-- begins_at --
-- From when on totals follow the log, if they lack what was posted before.
SELECT begins_at
FROM totals_progress
WHERE NOT built;

-- build --
-- Adds what was posted before the totals began, from the journal itself.
WITH progress AS (
    SELECT p.begins_at FROM totals_progress AS p
    WHERE NOT p.built
),

system AS (
    SELECT *
    FROM unnest(
        %(system_ids)s::uuid[],
        %(system_roles)s::text[],
        %(system_currencies)s::text[]
    ) AS s (account_id, role, currency)
),

posted AS (
    SELECT
        'users' AS role,
        a.currency,
        e.amount_minor,
        0 AS opened,
        e.created_at
    FROM entries AS e
    INNER JOIN accounts AS a ON e.account_id = a.account_id
    WHERE e.created_at < (SELECT p.begins_at FROM progress AS p)
    UNION ALL
    SELECT
        system.role,
        system.currency,
        e.amount_minor,
        0 AS opened,
        e.created_at
    FROM system_entries AS e
    INNER JOIN system ON e.account_id = system.account_id
    WHERE e.created_at < (SELECT p.begins_at FROM progress AS p)
    UNION ALL
    SELECT
        'users' AS role,
        a.currency,
        0 AS amount_minor,
        1 AS opened,
        a.created_at
    FROM accounts AS a
    WHERE a.created_at < (SELECT p.begins_at FROM progress AS p)
),

added AS (
    INSERT INTO ledger_totals AS total (
        span,
        starts_at,
        role,
        currency,
        debit_minor,
        credit_minor,
        entries,
        opened
    )
    SELECT
        span.number,
        date_trunc(span.unit, posted.created_at, 'UTC') AS starts_at,
        posted.role,
        posted.currency,
        sum(greatest(-posted.amount_minor, 0)) AS debit_minor,
        sum(greatest(posted.amount_minor, 0)) AS credit_minor,
        count(nullif(posted.amount_minor, 0)) AS entries,
        sum(posted.opened) AS opened
    FROM posted
    CROSS JOIN (VALUES (1, 'minute'), (2, 'day')) AS span (number, unit)
    GROUP BY
        span.number,
        date_trunc(span.unit, posted.created_at, 'UTC'),
        posted.role,
        posted.currency
    ORDER BY span.number, starts_at, posted.role, posted.currency
    ON CONFLICT (span, starts_at, role, currency) DO UPDATE SET
        debit_minor = total.debit_minor + excluded.debit_minor,
        credit_minor = total.credit_minor + excluded.credit_minor,
        entries = total.entries + excluded.entries,
        opened = total.opened + excluded.opened
)

UPDATE totals_progress SET built = TRUE
WHERE NOT built;
