-- leaves --
-- The leaves of some movements, one after the other, and how many of these movements there are.
SELECT
    -- begin joined --
    string_agg(
        coalesce(
            CASE
                WHEN
                    m.created_at < %(since)s::timestamptz
                    OR m.created_at >= %(until)s::timestamptz
                    THEN item.leaf
            END,
            sha256(
                '\x00'::bytea
                || coalesce(
                    sha256(substr(salt.both_sides, 1, 16) || convert_to(told.from_side, 'UTF8')),
                    %(no_side)s::bytea
                )
                || coalesce(
                    sha256(substr(salt.both_sides, 17, 16) || convert_to(told.to_side, 'UTF8')),
                    %(no_side)s::bytea
                )
                || convert_to(told.movement, 'UTF8')
            )
        ),
        ''::bytea
        ORDER BY item.place
    ) AS leaves,
    -- end joined --
    count(m.movement_id) AS movements
FROM (
    -- begin given --
    SELECT
        *,
        NULL::bytea AS leaf,
        %(salt_key)s::bytea AS salt_key
    FROM
        unnest(%(movement_ids)s::uuid[], %(from_sequences)s::bigint[], %(to_sequences)s::bigint[])
        WITH ORDINALITY AS covered (movement_id, from_sequence, to_sequence, place)
    -- end given --
) AS item
-- begin told --
LEFT JOIN LATERAL (
    SELECT *
    FROM movements
    WHERE movements.movement_id = item.movement_id
    LIMIT 1
) AS m ON TRUE
LEFT JOIN LATERAL (
    SELECT *
    FROM entries
    WHERE entries.account_id = m.from_account_id AND entries.sequence = item.from_sequence
    LIMIT 1
) AS f ON TRUE
LEFT JOIN LATERAL (
    SELECT *
    FROM entries
    WHERE entries.account_id = m.to_account_id AND entries.sequence = item.to_sequence
    LIMIT 1
) AS t ON TRUE
-- begin texts --
CROSS JOIN LATERAL (
    SELECT sha256(item.salt_key || int8send(item.place)) AS both_sides
    LIMIT 1
) AS salt
CROSS JOIN LATERAL (
    SELECT
        concat(
            '{"version":1,"movement_id":"', m.movement_id,
            '","kind":', m.kind,
            ',"from_account_id":"', m.from_account_id,
            '","to_account_id":"', m.to_account_id,
            '","amount_minor":', m.amount_minor,
            ',"currency":"', m.currency,
            '","created_at":', to_json(m.created_at),
            ',"principal":', to_json(m.principal),
            ',"request_id":', coalesce(to_json(m.request_id)::text, 'null'),
            ',"description":', to_json(m.description),
            CASE
                WHEN
                    num_nonnulls(
                        m.metadata, m.effective_at, m.source, m.reference, m.service_id, m.quantity,
                        m.price_minor, m.price_currency, m.rate, m.rate_source, m.rate_as_of,
                        m.quote_id, m.original_id, m.whole, m.final, m.expires_at
                    ) > 0
                    THEN ',"details":' || (
                        SELECT to_json(details)::text
                        FROM (
                            SELECT
                                m.metadata,
                                m.effective_at,
                                m.source,
                                m.reference,
                                m.service_id,
                                m.quantity,
                                m.price_minor,
                                m.price_currency,
                                m.rate,
                                m.rate_source,
                                m.rate_as_of,
                                m.quote_id,
                                m.original_id,
                                m.whole,
                                m.final,
                                m.expires_at
                        ) AS details
                    )
            END,
            '}'
        ) AS movement,
        CASE
            WHEN m.kind = ANY(%(paying_in)s::smallint[]) THEN NULL
            WHEN
                (f.movement_id, f.kind, f.counterparty_id, f.created_at, f.balance_after_minor)
                = (m.movement_id, m.kind, m.to_account_id, m.created_at, m.balance_after_minor)
                AND (f.effective_at IS NOT DISTINCT FROM m.effective_at)
                THEN concat(
                    '{"account_id":"', f.account_id,
                    '","sequence":', f.sequence,
                    ',"amount_minor":', f.amount_minor,
                    ',"balance_after_minor":', f.balance_after_minor,
                    '}'
                )
            ELSE (
                SELECT to_json(entry)::text
                FROM (
                    SELECT
                        f.account_id,
                        f.sequence,
                        f.amount_minor,
                        f.balance_after_minor,
                        f.movement_id,
                        f.kind,
                        f.counterparty_id,
                        f.created_at,
                        f.effective_at,
                        m.balance_after_minor AS movement_balance_after_minor
                ) AS entry
            )
        END AS from_side,
        CASE
            WHEN item.to_sequence IS NULL AND m.kind <> ALL(%(paying_in)s) THEN NULL
            WHEN
                (t.movement_id, t.kind, t.counterparty_id, t.created_at)
                = (m.movement_id, m.kind, m.from_account_id, m.created_at)
                AND (t.effective_at IS NOT DISTINCT FROM m.effective_at)
                AND (
                    m.kind <> ALL(%(paying_in)s) OR t.balance_after_minor = m.balance_after_minor
                )
                THEN concat(
                    '{"account_id":"', t.account_id,
                    '","sequence":', t.sequence,
                    ',"amount_minor":', t.amount_minor,
                    ',"balance_after_minor":', t.balance_after_minor,
                    '}'
                )
            ELSE (
                SELECT to_json(entry)::text
                FROM (
                    SELECT
                        t.account_id,
                        t.sequence,
                        t.amount_minor,
                        t.balance_after_minor,
                        t.movement_id,
                        t.kind,
                        t.counterparty_id,
                        t.created_at,
                        t.effective_at,
                        CASE WHEN m.kind = ANY(%(paying_in)s) THEN m.balance_after_minor END
                            AS movement_balance_after_minor
                ) AS entry
            )
        END AS to_side
    LIMIT 1
) AS told
-- end texts --
-- end told --
;

-- of_checkpoints --
-- The leaves of the movements that some checkpoints cover, as they are now; of those whose entries
-- are not looked at, as they were.
SELECT
    item.number,
    -- include joined --
    count(m.movement_id) AS movements -- noqa: RF01
FROM (
    -- begin of_checkpoints_covered --
    SELECT
        c.number,
        c.salt_key,
        covered.movement_id,
        covered.from_sequence,
        covered.to_sequence,
        covered.place,
        substr(c.leaves, (32 * (covered.place - 1) + 1)::integer, 32) AS leaf
    FROM checkpoints AS c
    CROSS JOIN LATERAL unnest(c.movement_ids, c.from_sequences, c.to_sequences)
    WITH ORDINALITY AS covered (movement_id, from_sequence, to_sequence, place)
    WHERE c.number BETWEEN %(first)s AND %(last)s
    -- end of_checkpoints_covered --
) AS item
-- include told --
GROUP BY item.number
ORDER BY item.number;

-- receipt --
-- What a receipt shows of a movement: its texts, the salts of both sides, its place among the
-- leaves of its checkpoint, and these.
SELECT
    -- begin shown --
    item.number,
    item.place,
    item.leaves,
    salt.both_sides AS salts, -- noqa: RF01
    told.movement, -- noqa: RF01
    told.from_side, -- noqa: RF01
    told.to_side -- noqa: RF01
    -- end shown --
FROM (
    -- begin of_receipt --
    SELECT
        c.number,
        c.salt_key,
        c.leaves,
        v.movement_id,
        p.place,
        c.from_sequences[p.place] AS from_sequence,
        c.to_sequences[p.place] AS to_sequence
    FROM covered_movements AS v
    INNER JOIN checkpoints AS c ON v.number = c.number
    CROSS JOIN LATERAL (
        SELECT array_position(c.movement_ids, v.movement_id)::bigint AS place
        LIMIT 1
    ) AS p
    WHERE v.movement_id = %(movement_id)s
    -- end of_receipt --
) AS item
-- include told --
;
