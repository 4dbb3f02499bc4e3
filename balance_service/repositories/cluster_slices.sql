-- of_movements --
-- A check of the movements of some buckets, with all that has their ids.
WITH movements AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
),

entries AS MATERIALIZED (
    SELECT *
    FROM entries
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
),

system_entries AS MATERIALIZED (
    SELECT *
    FROM system_entries
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
),

quote_uses AS MATERIALIZED (
    SELECT *
    FROM quote_uses
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
),

caller_references AS MATERIALIZED (
    SELECT *
    FROM caller_references
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
),

external_references AS MATERIALIZED (
    SELECT *
    FROM external_references
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
),

accounts AS MATERIALIZED (
    SELECT *
    FROM accounts
    WHERE account_id IN (
        SELECT m.from_account_id FROM movements AS m
        UNION ALL
        SELECT m.to_account_id FROM movements AS m
        UNION ALL
        SELECT e.account_id FROM entries AS e
    )
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- of_unquoted --
-- A check of the system entries of movements of some buckets, but of those by quote.
WITH system_entries AS MATERIALIZED (
    SELECT e.*
    FROM system_entries AS e
    LEFT JOIN movements AS m
        ON
            e.movement_id = m.movement_id
            AND (
                m.quote_id IS NOT NULL
                OR (
                    m.kind IN (%(transfer_reversal)s, %(exchange_reversal)s)
                    AND m.price_minor IS NOT NULL
                )
            )
    WHERE
        uuid_hash(e.movement_id) & 65535 <@ %(slice)s::int4multirange
        AND m.movement_id IS NULL
),

movements AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE
        uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
        AND quote_id IS NULL
        AND (
            kind NOT IN (%(transfer_reversal)s, %(exchange_reversal)s)
            OR price_minor IS NULL
        )
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- of_families --
-- A check of holds and of what follows others: originals of some buckets, with all that follows
-- them. What an original itself follows is left out, for that is of another bucket.
WITH followers AS MATERIALIZED (
    SELECT
        original_id,
        movement_id,
        kind,
        from_account_id,
        to_account_id,
        amount_minor,
        balance_after_minor,
        currency,
        service_id,
        price_minor,
        price_currency,
        rate,
        rate_source,
        rate_as_of,
        quote_id,
        whole,
        final,
        expires_at,
        created_at
    FROM movements
    WHERE uuid_hash(original_id) & 65535 <@ %(slice)s::int4multirange
),

originals AS MATERIALIZED (
    SELECT
        NULL::uuid AS original_id,
        movement_id,
        kind,
        from_account_id,
        to_account_id,
        amount_minor,
        balance_after_minor,
        currency,
        service_id,
        price_minor,
        price_currency,
        rate,
        rate_source,
        rate_as_of,
        quote_id,
        whole,
        final,
        expires_at,
        created_at
    FROM movements
    WHERE
        uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
        AND (original_id IS NULL OR NOT uuid_hash(original_id) & 65535 <@ %(slice)s::int4multirange)
        AND (kind = %(hold)s OR movement_id IN (SELECT f.original_id FROM followers AS f))
),

movements AS MATERIALIZED (
    SELECT * FROM followers
    UNION ALL
    SELECT * FROM originals
),

follows AS MATERIALIZED (
    SELECT *
    FROM follows
    WHERE uuid_hash(original_id) & 65535 <@ %(slice)s::int4multirange
),

holds AS MATERIALIZED (
    SELECT *
    FROM holds
    WHERE uuid_hash(hold_id) & 65535 <@ %(slice)s::int4multirange
),

entries AS MATERIALIZED (
    SELECT *
    FROM entries
    WHERE (account_id, balance_after_minor) IN (
        SELECT
            m.from_account_id,
            m.balance_after_minor
        FROM movements AS m
        WHERE
            m.kind IN (%(hold)s, %(release)s, %(expiry)s)
            OR (m.kind IN (%(transfer_reversal)s, %(exchange_reversal)s) AND m.price_minor = 0)
    )
),

accounts AS MATERIALIZED (
    SELECT *
    FROM accounts
    WHERE account_id IN (
        SELECT m.from_account_id FROM movements AS m
        UNION ALL
        SELECT m.to_account_id FROM movements AS m
    )
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- of_quotes --
-- A check of movements by quote of some buckets, with what reversed them.
WITH movements AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE
        ((quote_id IS NOT NULL OR kind = %(exchange)s)
            AND uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange)
        OR (
            kind IN (%(transfer_reversal)s, %(exchange_reversal)s)
            AND price_minor IS NOT NULL
            AND uuid_hash(original_id) & 65535 <@ %(slice)s::int4multirange
        )
),

entries AS MATERIALIZED (
    SELECT *
    FROM entries
    WHERE movement_id IN (SELECT m.movement_id FROM movements AS m)
),

system_entries AS MATERIALIZED (
    SELECT *
    FROM system_entries
    WHERE movement_id IN (SELECT m.movement_id FROM movements AS m)
),

accounts AS MATERIALIZED (
    SELECT *
    FROM accounts
    WHERE account_id IN (
        SELECT m.from_account_id FROM movements AS m
        UNION ALL
        SELECT m.to_account_id FROM movements AS m
    )
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- of_buyers --
-- A check of what the accounts of some buckets bought.
WITH purchases AS MATERIALIZED (
    SELECT *
    FROM purchases
    WHERE uuid_hash(account_id) & 65535 <@ %(slice)s::int4multirange
),

movements AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE
        (kind = %(purchase)s AND uuid_hash(from_account_id) & 65535 <@ %(slice)s::int4multirange)
        OR movement_id IN (SELECT p.movement_id FROM purchases AS p)
),

follows AS MATERIALIZED (
    SELECT *
    FROM follows
    WHERE original_id IN (SELECT m.movement_id FROM movements AS m)
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- of_accounts --
-- A check of the accounts of some buckets, with what leads to them.
WITH accounts AS MATERIALIZED (
    SELECT *
    FROM accounts
    WHERE uuid_hash(account_id) & 65535 <@ %(slice)s::int4multirange
),

account_owners AS MATERIALIZED (
    SELECT *
    FROM account_owners
    WHERE uuid_hash(account_id) & 65535 <@ %(slice)s::int4multirange
),

account_numbers AS MATERIALIZED (
    SELECT *
    FROM account_numbers
    WHERE uuid_hash(account_id) & 65535 <@ %(slice)s::int4multirange
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- of_labels --
-- A check of what the movements of some buckets are found by.
WITH movement_labels AS MATERIALIZED (
    SELECT *
    FROM movement_labels
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
),

movements AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE movement_id IN (SELECT l.movement_id FROM movement_labels AS l)
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- of_schedules --
-- A check of the occurrences of schedules of some buckets.
WITH schedule_occurrences AS MATERIALIZED (
    SELECT *
    FROM schedule_occurrences
    WHERE uuid_hash(schedule_id) & 65535 <@ %(slice)s::int4multirange
),

movements AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE metadata ->> 'schedule_id' IN (SELECT o.schedule_id::text FROM schedule_occurrences AS o)
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- of_events --
-- A check of the events of movements of some buckets. The log's oldest row says since when it is.
WITH events AS MATERIALIZED (
    SELECT
        told.*,
        e.last_sequence,
        e.numbered_at
    FROM events AS e
    CROSS JOIN LATERAL (
        SELECT
            coalesce(array_agg(item.movement_id ORDER BY item.place), '{{}}') AS movement_ids,
            coalesce(array_agg(item.from_sequence ORDER BY item.place), '{{}}') AS from_sequences,
            coalesce(array_agg(item.to_sequence ORDER BY item.place), '{{}}') AS to_sequences
        FROM unnest(e.movement_ids, e.from_sequences, e.to_sequences)
        WITH ORDINALITY AS item (movement_id, from_sequence, to_sequence, place)
        WHERE uuid_hash(item.movement_id) & 65535 <@ %(slice)s::int4multirange
    ) AS told
    WHERE
        cardinality(told.movement_ids) > 0
        OR e.last_sequence = (SELECT min(oldest.last_sequence) FROM events AS oldest)
),

outbox AS MATERIALIZED (
    SELECT told.*
    FROM outbox AS o
    CROSS JOIN LATERAL (
        SELECT
            coalesce(array_agg(item.movement_id ORDER BY item.place), '{{}}') AS movement_ids,
            coalesce(array_agg(item.from_sequence ORDER BY item.place), '{{}}') AS from_sequences,
            coalesce(array_agg(item.to_sequence ORDER BY item.place), '{{}}') AS to_sequences
        FROM unnest(o.movement_ids, o.from_sequences, o.to_sequences)
        WITH ORDINALITY AS item (movement_id, from_sequence, to_sequence, place)
        WHERE uuid_hash(item.movement_id) & 65535 <@ %(slice)s::int4multirange
    ) AS told
),

movements AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
),

entries AS MATERIALIZED (
    SELECT *
    FROM entries
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- of_checkpoints --
-- A check of which checkpoint covers the movements of some buckets. The newest says up to where.
WITH events AS MATERIALIZED (
    SELECT
        e.last_sequence,
        0 AS size,
        ARRAY(
            SELECT item.movement_id
            FROM unnest(e.movement_ids) WITH ORDINALITY AS item (movement_id, place)
            WHERE
                uuid_hash(item.movement_id) & 65535 <@ %(slice)s::int4multirange
                AND e.last_sequence - e.size + item.place
                > (SELECT max(c.last_event) FROM checkpoints AS c)
        ) AS movement_ids
    FROM events AS e
    WHERE e.last_sequence > (SELECT max(c.last_event) FROM checkpoints AS c)
),

outbox AS MATERIALIZED (
    SELECT
        ARRAY(
            SELECT item.movement_id
            FROM unnest(o.movement_ids) AS item (movement_id)
            WHERE uuid_hash(item.movement_id) & 65535 <@ %(slice)s::int4multirange
        ) AS movement_ids
    FROM outbox AS o
),

checkpoints AS MATERIALIZED (
    SELECT
        c.number,
        c.last_event,
        ARRAY(
            SELECT item.movement_id
            FROM unnest(c.movement_ids) AS item (movement_id)
            WHERE uuid_hash(item.movement_id) & 65535 <@ %(slice)s::int4multirange
        ) AS movement_ids
    FROM checkpoints AS c
),

movements AS MATERIALIZED (
    SELECT *
    FROM movements
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
),

covered_movements AS MATERIALIZED (
    SELECT *
    FROM covered_movements
    WHERE uuid_hash(movement_id) & 65535 <@ %(slice)s::int4multirange
)

SELECT found.* -- noqa: RF01
FROM ({}) AS found -- noqa: PRS
;

-- count_families --
-- How many movements hold, or follow others, and how many rows say so beside them.
SELECT
    (
        SELECT count(*)
        FROM movements
        WHERE original_id IS NOT NULL OR kind = %(hold)s
    )
    + (SELECT count(*) FROM follows)
    + (SELECT count(*) FROM holds) AS found;

-- count_quotes --
-- How many movements were by quote.
SELECT count(*) AS found
FROM movements
WHERE quote_id IS NOT NULL OR kind IN (%(exchange)s, %(exchange_reversal)s);

-- count_labels --
-- How many labels there are.
SELECT count(*) AS found
FROM movement_labels;

-- count_occurrences --
-- How many occurrences of schedules there are.
SELECT count(*) AS found
FROM schedule_occurrences;
