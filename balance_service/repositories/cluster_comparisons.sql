-- entries_found --
-- Entries, each with its account's currency.
SELECT
    uuid_hash(e.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                e.movement_id,
                e.account_id,
                e.counterparty_id,
                e.amount_minor,
                e.kind,
                e.created_at,
                e.effective_at,
                a.currency,
                CASE
                    WHEN e.amount_minor < 0 OR e.kind = ANY(%(paying_in)s::smallint[])
                        THEN e.balance_after_minor
                END
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM entries AS e
LEFT JOIN accounts AS a ON e.account_id = a.account_id
GROUP BY bucket;

-- entries_due --
-- The entries that movements must have, as in entries_are_of_movements.
SELECT
    uuid_hash(side.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                side.movement_id,
                side.account_id,
                side.counterparty_id,
                side.amount_minor,
                side.kind,
                side.created_at,
                side.effective_at,
                side.currency,
                side.balance_after_minor
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM (
    SELECT
        movement_id,
        from_account_id AS account_id,
        to_account_id AS counterparty_id,
        CASE
            WHEN kind IN (%(transfer_reversal)s, %(exchange_reversal)s) AND price_minor IS NOT NULL
                THEN -price_minor
            ELSE -amount_minor
        END AS amount_minor,
        kind,
        created_at,
        effective_at,
        CASE
            WHEN kind IN (%(transfer_reversal)s, %(exchange_reversal)s)
                THEN coalesce(price_currency, currency)
            ELSE currency
        END AS currency,
        balance_after_minor
    FROM movements
    WHERE
        kind <> ALL(%(paying_in)s::smallint[])
        AND kind NOT IN (%(hold)s, %(release)s, %(expiry)s)
        AND (
            kind NOT IN (%(transfer_reversal)s, %(exchange_reversal)s)
            OR price_minor IS DISTINCT FROM 0
        )
    UNION ALL
    SELECT
        movement_id,
        to_account_id AS account_id,
        from_account_id AS counterparty_id,
        CASE WHEN quote_id IS NULL THEN amount_minor ELSE price_minor END AS amount_minor,
        kind,
        created_at,
        effective_at,
        CASE WHEN quote_id IS NULL THEN currency ELSE price_currency END AS currency,
        CASE WHEN kind = ANY(%(paying_in)s::smallint[]) THEN balance_after_minor END
            AS balance_after_minor
    FROM movements
    WHERE
        kind = ANY(%(paying_in)s::smallint[])
        OR kind IN (
            %(transfer)s,
            %(transfer_reversal)s,
            %(exchange)s,
            %(exchange_reversal)s
        )
) AS side
GROUP BY bucket;

-- holds_found --
-- Holds, each in its account's currency.
SELECT
    uuid_hash(h.hold_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                h.hold_id,
                h.account_id,
                a.currency
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM holds AS h
LEFT JOIN accounts AS a ON h.account_id = a.account_id
GROUP BY bucket;

-- holds_due --
-- What was held by movements.
SELECT
    uuid_hash(m.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                m.movement_id,
                m.from_account_id,
                m.currency
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM movements AS m
WHERE
    m.kind = %(hold)s
GROUP BY bucket;

-- quote_uses_found --
-- Uses of quotes.
SELECT
    uuid_hash(u.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                u.movement_id,
                u.account_id,
                u.quote_id
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM quote_uses AS u
GROUP BY bucket;

-- quote_uses_due --
-- Uses of quotes by movements.
SELECT
    uuid_hash(m.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                m.movement_id,
                m.from_account_id,
                m.quote_id
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM movements AS m
WHERE
    m.quote_id IS NOT NULL
GROUP BY bucket;

-- references_found --
-- References that callers took.
SELECT
    uuid_hash(c.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                c.movement_id,
                c.principal,
                c.source,
                c.reference
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM caller_references AS c
GROUP BY bucket;

-- references_due --
-- References of movements.
SELECT
    uuid_hash(m.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                m.movement_id,
                m.principal,
                m.source,
                m.reference
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM movements AS m
WHERE
    m.reference IS NOT NULL
GROUP BY bucket;

-- old_references_found --
-- References of versions before 0004.
SELECT
    uuid_hash(e.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                e.movement_id,
                e.source,
                e.reference
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM external_references AS e
GROUP BY bucket;

-- old_references_due --
-- Those of them that are among the references that callers took.
SELECT
    uuid_hash(e.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                e.movement_id,
                e.source,
                e.reference
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM external_references AS e
INNER JOIN caller_references AS c
    ON
        e.reference = c.reference
        AND e.source = c.source
        AND e.movement_id = c.movement_id
GROUP BY bucket;

-- owners_found --
-- Who accounts say that they belong to.
SELECT
    uuid_hash(a.account_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                a.account_id,
                a.owner_id,
                a.currency
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM accounts AS a
GROUP BY bucket;

-- owners_due --
-- Who leads to accounts.
SELECT
    uuid_hash(o.account_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                o.account_id,
                o.owner_id,
                o.currency
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM account_owners AS o
GROUP BY bucket;

-- numbers_found --
-- Accounts' numbers.
SELECT
    uuid_hash(a.account_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                a.account_id,
                a.number
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM accounts AS a
GROUP BY bucket;

-- numbers_due --
-- The numbers that lead to accounts, where they check themselves.
SELECT
    uuid_hash(n.account_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                n.account_id,
                n.number
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM account_numbers AS n
WHERE
    mod(
        (
            SELECT sum(CASE WHEN doubled > 9 THEN doubled - 9 ELSE doubled END)
            FROM (
                SELECT substr(n.number::text, 10 - place, 1)::int * (1 + mod(place, 2)) AS doubled
                FROM generate_series(0, 9) AS places (place)
            ) AS digits
        ),
        10
    ) = 0
GROUP BY bucket;

-- purchases_found --
-- What accounts bought last, of each service that there is.
SELECT
    uuid_hash(p.account_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                p.account_id,
                s.service_id,
                p.movement_id
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM purchases AS p
LEFT JOIN services AS s ON p.service_id = s.service_id
GROUP BY bucket;

-- purchases_due --
-- Purchases by movements: those that must be the last of their service, and, so that they differ,
-- those that cannot be right.
SELECT
    uuid_hash(m.from_account_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                m.from_account_id,
                m.service_id,
                m.movement_id
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM movements AS m
LEFT JOIN services AS s ON m.service_id = s.service_id
LEFT JOIN (
    SELECT
        original_id,
        sum(amount_minor) AS amount_minor
    FROM follows
    GROUP BY original_id
) AS f ON m.movement_id = f.original_id
WHERE
    m.kind = %(purchase)s
    AND CASE
        WHEN m.quantity IS NULL
            THEN m.original_id IS NULL AND m.amount_minor > coalesce(f.amount_minor, 0)
        ELSE
            s.service_id IS NULL
            OR (
                m.original_id IS NULL
                AND mod(coalesce(m.price_minor, m.amount_minor), m.quantity) <> 0
            )
    END
GROUP BY bucket;

-- system_entries_found --
-- System entries but those of movements by quote, which are looked at with what was quoted.
SELECT
    uuid_hash(e.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                e.movement_id,
                e.account_id,
                e.amount_minor,
                e.created_at
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
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
    m.movement_id IS NULL
GROUP BY bucket;

-- system_entries_due --
-- The system entries that they must have, as in system_entries_are_of_movements.
SELECT
    uuid_hash(side.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                side.movement_id,
                (%(system_ids)s::uuid[])[
                    array_position(%(system_names)s::text[], side.role || '/' || side.currency)
                ],
                side.amount_minor,
                side.created_at
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
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
        'revenue' AS role,
        coalesce(price_currency, currency) AS currency,
        CASE kind WHEN %(refund)s THEN -1 ELSE 1 END * coalesce(price_minor, amount_minor)
            AS amount_minor,
        created_at
    FROM movements
    WHERE kind IN (%(purchase)s, %(refund)s) AND price_minor IS DISTINCT FROM 0
    UNION ALL
    SELECT
        movement_id,
        'fx' AS role,
        currency,
        CASE kind WHEN %(refund)s THEN -1 ELSE 1 END * amount_minor AS amount_minor,
        created_at
    FROM movements
    WHERE kind IN (%(purchase)s, %(refund)s) AND price_minor IS NOT NULL
    UNION ALL
    SELECT
        movement_id,
        'fx' AS role,
        price_currency AS currency,
        CASE kind WHEN %(refund)s THEN 1 ELSE -1 END * price_minor AS amount_minor,
        created_at
    FROM movements
    WHERE kind IN (%(purchase)s, %(refund)s) AND price_minor > 0
) AS side
GROUP BY bucket;

-- events_found --
-- Movements that events tell.
SELECT
    uuid_hash(told.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                told.movement_id
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM (
    SELECT unnest(movement_ids) AS movement_id FROM events
    UNION ALL
    SELECT unnest(movement_ids) FROM outbox
) AS told
GROUP BY bucket;

-- events_due --
-- Movements since the log's oldest row was numbered.
SELECT
    uuid_hash(m.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                m.movement_id
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM movements AS m
WHERE
    m.created_at > (
        SELECT e.numbered_at
        FROM events AS e
        ORDER BY e.last_sequence
        LIMIT 1
    )
GROUP BY bucket;

-- event_entries_found --
-- The entries that events name.
SELECT
    uuid_hash(told.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                told.movement_id,
                told.leaves,
                told.sequence
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM (
    SELECT
        item.movement_id,
        side.leaves,
        side.sequence
    FROM (
        SELECT
            movement_ids,
            from_sequences,
            to_sequences
        FROM events
        UNION ALL
        SELECT
            movement_ids,
            from_sequences,
            to_sequences
        FROM outbox
    ) AS e
    CROSS JOIN LATERAL unnest(e.movement_ids, e.from_sequences, e.to_sequences)
        AS item (movement_id, from_sequence, to_sequence)
    CROSS JOIN LATERAL (
        VALUES (TRUE, item.from_sequence), (FALSE, item.to_sequence)
    ) AS side (leaves, sequence)
    WHERE side.sequence IS NOT NULL
) AS told
GROUP BY bucket;

-- event_entries_due --
-- The entries that there are since the log's oldest row was numbered.
SELECT
    uuid_hash(e.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                e.movement_id,
                e.amount_minor < 0,
                e.sequence
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM entries AS e
WHERE
    e.created_at > (
        SELECT oldest.numbered_at
        FROM events AS oldest
        ORDER BY oldest.last_sequence
        LIMIT 1
    )
GROUP BY bucket;

-- covered_found --
-- Which checkpoint is said to cover movements that there are.
SELECT
    uuid_hash(c.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                c.movement_id,
                c.number
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM covered_movements AS c
INNER JOIN movements AS m ON c.movement_id = m.movement_id
GROUP BY bucket;

-- covered_due --
-- Which movements checkpoints cover.
SELECT
    uuid_hash(c.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                c.movement_id,
                c.number
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM (
    SELECT
        number,
        unnest(movement_ids) AS movement_id
    FROM checkpoints
) AS c
GROUP BY bucket;

-- uncovered_found --
-- Movements that no checkpoint covers, without those of a history that is covered piece by piece.
SELECT
    uuid_hash(m.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                m.movement_id
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM movements AS m
LEFT JOIN covered_movements AS c ON m.movement_id = c.movement_id
WHERE
    c.movement_id IS NULL
    AND m.created_at > coalesce((
        SELECT max(h.until)
        FROM uncovered_history AS h
        WHERE NOT h.done
    ), '-infinity')
GROUP BY bucket;

-- uncovered_due --
-- Movements that the next checkpoints are to cover.
SELECT
    uuid_hash(w.movement_id) & 65535 AS bucket,
    count(*) AS found,
    sum(
        hash_record_extended(
            row(
                w.movement_id
            ),
            %(seed)s::bigint
        )
    ) AS fingerprint
FROM (
    SELECT unnest(movement_ids) AS movement_id
    FROM outbox
    UNION ALL
    SELECT item.movement_id
    FROM events AS e
    CROSS JOIN LATERAL unnest(e.movement_ids) WITH ORDINALITY AS item (movement_id, place)
    WHERE
        e.last_sequence > (SELECT max(c.last_event) FROM checkpoints AS c)
        AND e.last_sequence - e.size + item.place
        > (SELECT max(c.last_event) FROM checkpoints AS c)
) AS w
GROUP BY bucket;
