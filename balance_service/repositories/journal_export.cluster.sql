-- of_log --
-- As on one server; movements, and then their entries, are read on their shards.
WITH told AS MATERIALIZED ( -- noqa: PRS
    SELECT
        e.last_sequence,
        item.place,
        item.movement_id,
        item.from_sequence,
        item.to_sequence
    FROM events AS e
    CROSS JOIN LATERAL unnest(e.movement_ids, e.from_sequences, e.to_sequences)
    WITH ORDINALITY AS item (movement_id, from_sequence, to_sequence, place)
    WHERE e.last_sequence > %(after)s AND e.last_sequence <= %(until)s
),

m AS MATERIALIZED (
    SELECT
        movement_id,
        kind,
        created_at,
        currency,
        description,
        from_account_id,
        to_account_id
    FROM movements
    WHERE
        movement_id IN (SELECT told.movement_id FROM told)
        AND created_at >= %(since)s
        AND created_at < %(before)s
),

named AS MATERIALIZED (
    SELECT
        m.movement_id,
        key.place,
        key.account_id,
        key.sequence
    FROM told
    INNER JOIN m ON told.movement_id = m.movement_id
    CROSS JOIN LATERAL (
        VALUES
        (1, m.from_account_id, told.from_sequence),
        (3, m.to_account_id, told.to_sequence)
    ) AS key (place, account_id, sequence)
    WHERE key.sequence IS NOT NULL
),

entry AS MATERIALIZED (
    SELECT
        e.account_id,
        e.sequence,
        a.number,
        a.currency,
        e.amount_minor,
        CASE
            WHEN previous.created_at < %(since)s THEN e.balance_after_minor - e.amount_minor
        END AS opening_minor
    FROM entries AS e
    INNER JOIN accounts AS a ON e.account_id = a.account_id
    LEFT JOIN entries AS previous
        ON e.account_id = previous.account_id AND e.sequence - 1 = previous.sequence
    WHERE (e.account_id, e.sequence) IN (
        SELECT
            named.account_id,
            named.sequence
        FROM named
    )
),

system_entry AS MATERIALIZED (
    SELECT
        s.movement_id,
        s.account_id,
        s.amount_minor
    FROM system_entries AS s
    WHERE s.movement_id IN (SELECT m.movement_id FROM m)
),

side AS MATERIALIZED (
    SELECT
        named.movement_id,
        named.place,
        'users' AS role,
        entry.number,
        entry.currency,
        entry.amount_minor,
        entry.opening_minor
    FROM named
    INNER JOIN entry ON named.account_id = entry.account_id AND named.sequence = entry.sequence
),

system_side AS MATERIALIZED (
    SELECT
        s.movement_id,
        2 AS place,
        system.role,
        NULL::bigint AS number,
        system.currency,
        s.amount_minor,
        NULL::bigint AS opening_minor
    FROM system_entry AS s
    INNER JOIN unnest(
        %(system_ids)s::uuid[],
        %(system_roles)s::text[],
        %(system_currencies)s::text[]
    ) AS system (account_id, role, currency) ON s.account_id = system.account_id
)

SELECT
    m.movement_id,
    m.kind,
    m.created_at,
    m.currency,
    m.description,
    both_sides.role,
    both_sides.number,
    both_sides.currency AS own_currency,
    both_sides.amount_minor,
    both_sides.opening_minor
FROM told
INNER JOIN m ON told.movement_id = m.movement_id
INNER JOIN (
    SELECT * FROM side
    UNION ALL
    SELECT * FROM system_side
) AS both_sides ON m.movement_id = both_sides.movement_id
ORDER BY
    told.last_sequence,
    told.place,
    both_sides.place,
    both_sides.role,
    both_sides.currency;
