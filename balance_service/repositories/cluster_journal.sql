-- lock_followed --
-- Locks what follows a movement, on its own shard. The lock outlives the preparing of a commit, so
-- whoever has it sees all that followed before. Nobody may lock the movement's row, which needs a
-- right to change it.
SELECT pg_advisory_xact_lock(%(key)s::bigint)
FROM movements
WHERE movement_id = %(movement_id)s;

-- claim_movement --
-- Shows whether a movement with an id was committed, after waiting for a commit that is prepared.
-- It is taken back at once.
INSERT INTO movements (
    movement_id,
    kind,
    from_account_id,
    to_account_id,
    amount_minor,
    currency,
    balance_after_minor,
    principal,
    description,
    created_at
)
VALUES (
    %(movement_id)s,
    1,
    %(movement_id)s,
    '00000000-0000-0000-0000-000000000000',
    1,
    'XXX',
    0,
    '',
    '',
    '-infinity'
)
ON CONFLICT DO NOTHING
RETURNING movement_id;

-- write_to_movements --
-- Inserts nothing, on the shards of some movements. Citus prepares the parts of a commit on
-- connections that it knows to have written; where it read before, copying rows does not tell it.
INSERT INTO movements
SELECT *
FROM movements
WHERE movement_id = ANY(%(movement_ids)s::uuid[]) AND created_at > 'infinity';

-- write_to_references --
-- The same, on the shards of some references.
INSERT INTO caller_references
SELECT *
FROM caller_references
WHERE reference = ANY(%(references)s::text[]) AND reference <> ALL(%(references)s::text[]);

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
    ON h.account_id = wanted.account_id AND h.hold_id = wanted.hold_id
WHERE h.account_id = ANY(%(account_ids)s::uuid[]);

-- find_purchases --
-- The movements by which accounts bought services last, refunded or not.
SELECT DISTINCT p.movement_id
FROM purchases AS p
INNER JOIN unnest(%(account_ids)s::uuid[], %(service_ids)s::uuid[])
    AS wanted (account_id, service_id)
    ON p.account_id = wanted.account_id AND p.service_id = wanted.service_id
WHERE p.account_id = ANY(%(account_ids)s::uuid[]);

-- find_references --
-- Movements by which callers used an external reference.
SELECT
    c.principal,
    c.source,
    c.reference,
    c.movement_id
FROM caller_references AS c
INNER JOIN unnest(%(principals)s::text[], %(sources)s::text[], %(references)s::text[])
    AS wanted (principal, source, reference)
    ON
        c.reference = wanted.reference
        AND c.source = wanted.source
        AND c.principal = wanted.principal
WHERE c.reference = ANY(%(references)s::text[]);

-- find_quote_uses --
-- Movements by which accounts carried quotes out before.
SELECT
    u.quote_id,
    u.movement_id
FROM quote_uses AS u
INNER JOIN unnest(%(account_ids)s::uuid[], %(quote_ids)s::uuid[])
    AS wanted (account_id, quote_id)
    ON u.account_id = wanted.account_id AND u.quote_id = wanted.quote_id
WHERE u.account_id = ANY(%(account_ids)s::uuid[]);

-- insert_references --
-- External references that callers take now. No version that looks for them elsewhere runs on a
-- cluster.
INSERT INTO caller_references (reference, source, principal, movement_id)
SELECT *
FROM unnest(
    %(reference)s::text[],
    %(source)s::text[],
    %(principal)s::text[],
    %(movement_id)s::uuid[]
);

-- insert_event --
-- The events of one commit.
INSERT INTO outbox (movement_ids, from_sequences, to_sequences)
VALUES (
    %(event_movement_id)s::uuid[],
    %(event_from_sequence)s::bigint[],
    %(event_to_sequence)s::bigint[]
);

-- update_accounts --
-- The accounts' new state.
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
WHERE a.account_id = changed.account_id AND a.account_id = ANY(%(account_id)s::uuid[]);

-- insert_system_entries --
-- The other sides of one commit, on the service's own accounts.
INSERT INTO system_entries (movement_id, account_id, amount_minor, created_at)
SELECT *
FROM unnest(
    %(movement_id)s::uuid[],
    %(account_id)s::uuid[],
    %(amount_minor)s::bigint[],
    %(created_at)s::timestamptz[]
);

-- insert_system_deltas --
-- What one commit adds to each of the service's own accounts.
INSERT INTO system_deltas (account_id, delta_id, amount_minor, entries)
SELECT *
FROM unnest(
    %(delta_account_id)s::uuid[],
    %(delta_id)s::uuid[],
    %(delta_amount_minor)s::numeric[],
    %(delta_entries)s::bigint[]
);
