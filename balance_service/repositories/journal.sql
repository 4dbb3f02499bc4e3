-- read_clock --
-- The time by Postgres's clock, which all workers share. It is sent after the locks are asked for,
-- as a statement of its own: a locking statement would read the clock before it waits.
SELECT clock_timestamp();

-- find_movements --
-- Movements of requests that were carried out before.
SELECT
    -- include columns --
FROM movements
WHERE movement_id = ANY(%(movement_ids)s::uuid[]);

-- find_holds --
-- What is left of some holds.
SELECT
    h.account_id,
    h.hold_id,
    h.left_minor,
    h.captured_minor,
    h.status,
    h.expires_at,
    h.created_at
FROM holds AS h
INNER JOIN unnest(%(account_ids)s::uuid[], %(hold_ids)s::uuid[]) AS wanted (account_id, hold_id)
    ON h.account_id = wanted.account_id AND h.hold_id = wanted.hold_id;

-- find_follows --
-- What was reversed of some movements, or captured of some holds.
SELECT
    original_id,
    sum(amount_minor)::bigint AS amount_minor,
    sum(price_minor)::bigint AS price_minor
FROM follows
WHERE original_id = ANY(%(original_ids)s::uuid[])
GROUP BY original_id;

-- list_follows --
-- What followed some movements, by which movements.
SELECT
    original_id,
    sum(amount_minor)::bigint AS amount_minor,
    array_agg(movement_id ORDER BY movement_id) AS movement_ids
FROM follows
WHERE original_id = ANY(%(original_ids)s::uuid[])
GROUP BY original_id;

-- find_purchases --
-- Movements by which accounts bought services before, but for those that were refunded whole. Of a
-- purchase that several captures of one hold made, `purchases` names the first. Each row is looked
-- up by its key: a plan made while the tables were small would join them in another way, and read a
-- whole index each time.
SELECT
    -- include columns --
FROM unnest(%(account_ids)s::uuid[], %(service_ids)s::uuid[]) AS wanted (account, service)
CROSS JOIN LATERAL (
    SELECT p.movement_id AS bought_by
    FROM purchases AS p
    WHERE p.account_id = wanted.account AND p.service_id = wanted.service
    LIMIT 1
) AS bought
CROSS JOIN LATERAL (
    SELECT m.original_id AS placed_by
    FROM movements AS m
    WHERE m.movement_id = bought.bought_by
    LIMIT 1
) AS placed
CROSS JOIN LATERAL (
    SELECT bought.bought_by AS made_by
    UNION
    SELECT f.movement_id
    FROM follows AS f
    WHERE f.original_id = placed.placed_by
) AS made
CROSS JOIN LATERAL (
    SELECT *
    FROM movements AS m
    WHERE m.movement_id = made.made_by
    LIMIT 1
) AS movements
WHERE movements.amount_minor > (
    SELECT coalesce(sum(f.amount_minor), 0)
    FROM follows AS f
    WHERE f.original_id = movements.movement_id
)
ORDER BY created_at, movement_id;

-- find_references --
-- Movements by which callers used an external reference, also through versions before 0004. Each
-- row is looked up by its key, as above.
SELECT
    wanted.principal,
    wanted.source,
    wanted.reference,
    r.movement_id
FROM unnest(%(principals)s::text[], %(sources)s::text[], %(references)s::text[])
    AS wanted (principal, source, reference)
CROSS JOIN LATERAL (
    SELECT c.movement_id
    FROM caller_references AS c
    WHERE
        c.reference = wanted.reference
        AND c.source = wanted.source
        AND c.principal = wanted.principal
    LIMIT 1
) AS r
UNION
SELECT
    wanted.principal,
    wanted.source,
    wanted.reference,
    r.movement_id
FROM unnest(%(principals)s::text[], %(sources)s::text[], %(references)s::text[])
    AS wanted (principal, source, reference)
CROSS JOIN LATERAL (
    SELECT e.movement_id
    FROM external_references AS e
    WHERE e.reference = wanted.reference AND e.source = wanted.source
    LIMIT 1
) AS r
CROSS JOIN LATERAL (
    SELECT movements.principal
    FROM movements
    WHERE movements.movement_id = r.movement_id
    LIMIT 1
) AS m
WHERE m.principal = wanted.principal;

-- find_quote_uses --
-- Movements by which accounts carried quotes out before.
SELECT
    u.quote_id,
    u.movement_id
FROM quote_uses AS u
INNER JOIN unnest(%(account_ids)s::uuid[], %(quote_ids)s::uuid[])
    AS wanted (account_id, quote_id)
    ON u.account_id = wanted.account_id AND u.quote_id = wanted.quote_id;

-- write --
-- All that one commit of plain movements writes: journal, statements, events, and the accounts' new
-- state. One statement and not four, for each costs a commit as much as several movements do.
WITH written AS (
    INSERT INTO movements (
        movement_id,
        kind,
        from_account_id,
        to_account_id,
        amount_minor,
        currency,
        balance_after_minor,
        principal,
        request_id,
        description,
        metadata,
        created_at
    )
    SELECT *
    FROM unnest(
        -- include plain_values --
    )
),

entered AS (
    INSERT INTO entries (
        account_id,
        sequence,
        movement_id,
        kind,
        amount_minor,
        balance_after_minor,
        counterparty_id,
        created_at
    )
    SELECT *
    FROM unnest(
        -- include entry_values --
    )
),

told AS (
    INSERT INTO outbox (place, waiting, movement_ids, from_sequences, to_sequences)
    VALUES (
        coalesce(%(place)s::pg_lsn, pg_current_wal_insert_lsn()),
        %(event_waiting)s,
        %(event_movement_id)s::uuid[],
        %(event_from_sequence)s::bigint[],
        %(event_to_sequence)s::bigint[]
    )
)

UPDATE accounts AS a
SET
    balance_minor = changed.balance_minor,
    held_minor = changed.held_minor,
    sequence = changed.sequence,
    changed_at = changed.changed_at,
    spent_minor = changed.spent_minor
FROM unnest(
    %(account_id)s::uuid[],
    %(account_balance_minor)s::bigint[],
    %(account_held_minor)s::bigint[],
    %(account_sequence)s::bigint[],
    %(account_changed_at)s::timestamptz[],
    %(account_spent_minor)s::bigint[]
) AS changed (account_id, balance_minor, held_minor, sequence, changed_at, spent_minor)
WHERE a.account_id = changed.account_id;

-- write_system_entries --
-- The other sides of one commit, on the service's own accounts, and what it adds to each of them.
WITH entered AS (
    INSERT INTO system_entries (movement_id, account_id, amount_minor, created_at)
    SELECT *
    FROM unnest(
        %(movement_id)s::uuid[],
        %(account_id)s::uuid[],
        %(amount_minor)s::bigint[],
        %(created_at)s::timestamptz[]
    )
)

INSERT INTO system_deltas (account_id, delta_id, amount_minor, entries)
SELECT *
FROM unnest(
    %(delta_account_id)s::uuid[],
    %(delta_id)s::uuid[],
    %(delta_amount_minor)s::numeric[],
    %(delta_entries)s::bigint[]
);

-- insert_detailed_movements --
-- The journal rows of one commit that have more to say: a reference, a service or a quote and what
-- it costs, an earlier movement, a value date.
INSERT INTO movements (
    -- begin columns --
    source,
    reference,
    service_id,
    quantity,
    quote_id,
    price_minor,
    price_currency,
    rate,
    rate_source,
    rate_as_of,
    original_id,
    whole,
    final,
    expires_at,
    effective_at,
    movement_id,
    kind,
    from_account_id,
    to_account_id,
    amount_minor,
    currency,
    balance_after_minor,
    principal,
    request_id,
    description,
    metadata,
    created_at
    -- end columns --
)
SELECT *
FROM unnest(
    %(source)s::text[],
    %(reference)s::text[],
    %(service_id)s::uuid[],
    %(quantity)s::bigint[],
    %(quote_id)s::uuid[],
    %(price_minor)s::bigint[],
    %(price_currency)s::text[],
    %(rate)s::numeric[],
    %(rate_source)s::text[],
    %(rate_as_of)s::timestamptz[],
    %(original_id)s::uuid[],
    %(whole)s::boolean[],
    %(final)s::boolean[],
    %(expires_at)s::timestamptz[],
    %(effective_at)s::timestamptz[],
    -- begin plain_values --
    %(movement_id)s::uuid[],
    %(kind)s::smallint[],
    %(from_account_id)s::uuid[],
    %(to_account_id)s::uuid[],
    %(amount_minor)s::bigint[],
    %(currency)s::text[],
    %(balance_after_minor)s::bigint[],
    %(principal)s::text[],
    %(request_id)s::uuid[],
    %(description)s::text[],
    %(metadata)s::jsonb[],
    %(created_at)s::timestamptz[]
    -- end plain_values --
);

-- insert_dated_entries --
-- Entries whose value date is not that of booking.
INSERT INTO entries (
    effective_at,
    account_id,
    sequence,
    movement_id,
    kind,
    amount_minor,
    balance_after_minor,
    counterparty_id,
    created_at
)
SELECT *
FROM unnest(
    %(entry_effective_at)s::timestamptz[],
    -- begin entry_values --
    %(entry_account_id)s::uuid[],
    %(entry_sequence)s::bigint[],
    %(entry_movement_id)s::uuid[],
    %(entry_kind)s::smallint[],
    %(entry_amount_minor)s::bigint[],
    %(entry_balance_after_minor)s::bigint[],
    %(entry_counterparty_id)s::uuid[],
    %(entry_created_at)s::timestamptz[]
    -- end entry_values --
);

-- insert_follows --
-- What was reversed or captured now, by what it follows.
INSERT INTO follows (original_id, movement_id, amount_minor, price_minor)
SELECT *
FROM unnest(
    %(original_id)s::uuid[],
    %(movement_id)s::uuid[],
    %(amount_minor)s::bigint[],
    %(price_minor)s::bigint[]
);

-- write_holds --
-- Holds that are new or changed.
INSERT INTO holds (
    account_id,
    hold_id,
    left_minor,
    captured_minor,
    status,
    expires_at,
    created_at
)
SELECT *
FROM unnest(
    %(account_id)s::uuid[],
    %(hold_id)s::uuid[],
    %(left_minor)s::bigint[],
    %(captured_minor)s::bigint[],
    %(status)s::smallint[],
    %(expires_at)s::timestamptz[],
    %(created_at)s::timestamptz[]
)
ON CONFLICT (account_id, hold_id) DO UPDATE
    SET
        left_minor = excluded.left_minor,
        captured_minor = excluded.captured_minor,
        status = excluded.status;

-- insert_purchases --
-- What accounts have bought now. A row that is there is of a purchase that was refunded whole: the
-- account is locked, and any other would have been found.
INSERT INTO purchases (account_id, service_id, movement_id)
SELECT *
FROM unnest(%(account_id)s::uuid[], %(service_id)s::uuid[], %(movement_id)s::uuid[])
ON CONFLICT (account_id, service_id) DO UPDATE SET movement_id = excluded.movement_id;

-- insert_quote_uses --
-- Quotes that are carried out now.
INSERT INTO quote_uses (account_id, quote_id, movement_id)
SELECT *
FROM unnest(%(account_id)s::uuid[], %(quote_id)s::uuid[], %(movement_id)s::uuid[]);

-- insert_labels --
-- Pairs of metadata that movements may be found by.
INSERT INTO movement_labels (value, key, created_at, movement_id)
SELECT *
FROM unnest(
    %(value)s::text[],
    %(key)s::text[],
    %(created_at)s::timestamptz[],
    %(movement_id)s::uuid[]
);

-- insert_references --
-- External references that callers take now. They also go to external_references, where versions
-- before 0004, which may run beside this one, look for them. A reference that another caller has
-- there is skipped, for that table holds each only once. One that the same caller took meanwhile
-- through an older version is not skipped: it violates the table's key, which fails the commit.
WITH wanted AS (
    SELECT *
    FROM unnest(
        %(reference)s::text[],
        %(source)s::text[],
        %(principal)s::text[],
        %(movement_id)s::uuid[]
    ) AS w (reference, source, principal, movement_id)
),

claimed AS (
    INSERT INTO caller_references (reference, source, principal, movement_id)
    SELECT *
    FROM wanted
)

INSERT INTO external_references (reference, source, movement_id)
SELECT DISTINCT ON (w.reference, w.source)
    w.reference,
    w.source,
    w.movement_id
FROM wanted AS w
WHERE NOT EXISTS (
    SELECT
    FROM external_references AS r
    INNER JOIN movements AS m ON r.movement_id = m.movement_id
    WHERE r.reference = w.reference AND r.source = w.source AND m.principal <> w.principal
)
ORDER BY w.reference, w.source;
