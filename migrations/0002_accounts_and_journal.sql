-- Tables are distributed, on a cluster, by the column each comment names; every unique constraint
-- contains it, and no foreign key crosses it. There are no foreign keys in the hot path at all:
-- they would lock rows that the commit path leaves unlocked. `balance-service verify` checks what
-- they would.

-- By account_id. fillfactor leaves room on each page for the next version of a row, so that a
-- change of balance touches no index.
CREATE TABLE accounts (
    account_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL,
    number bigint NOT NULL,
    currency text NOT NULL,
    balance_minor bigint NOT NULL DEFAULT 0,
    held_minor bigint NOT NULL DEFAULT 0,
    limit_minor bigint NOT NULL DEFAULT 0,
    status smallint NOT NULL DEFAULT 1,
    sequence bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT balance_within_limit CHECK (balance_minor - held_minor >= -limit_minor),
    CONSTRAINT held_not_negative CHECK (held_minor >= 0),
    CONSTRAINT limit_not_negative CHECK (limit_minor >= 0),
    CONSTRAINT sequence_not_negative CHECK (sequence >= 0),
    CONSTRAINT closed_is_empty CHECK (status <> 3 OR (balance_minor = 0 AND held_minor = 0)),
    CONSTRAINT status_known CHECK (status BETWEEN 1 AND 3),
    CONSTRAINT currency_well_formed CHECK (currency ~ '^[A-Z]{3}$')
) WITH (fillfactor = 70);

-- By owner_id. Decides that a user has one account in a currency, and finds a user's accounts.
CREATE TABLE account_owners (
    owner_id uuid NOT NULL,
    currency text NOT NULL,
    account_id uuid NOT NULL,
    PRIMARY KEY (owner_id, currency)
);

-- By number. Decides that a public number is given once, and finds its account.
CREATE TABLE account_numbers (
    number bigint PRIMARY KEY,
    account_id uuid NOT NULL,
    CONSTRAINT number_has_ten_digits CHECK (number BETWEEN 1000000000 AND 9999999999)
);

-- By movement_id. The journal: one row a change of money, never changed. Its key follows from
-- principal and request id, so it also decides that a request is carried out once.
CREATE TABLE movements (
    movement_id uuid PRIMARY KEY,
    from_account_id uuid NOT NULL,
    to_account_id uuid NOT NULL,
    request_id uuid,
    amount_minor bigint NOT NULL,
    balance_after_minor bigint NOT NULL,
    created_at timestamptz NOT NULL,
    kind smallint NOT NULL,
    currency text NOT NULL,
    principal text NOT NULL,
    description text NOT NULL,
    metadata jsonb,
    source text,
    reference text,
    service_id uuid,
    price_minor bigint,
    price_currency text,
    rate numeric,
    rate_source text,
    rate_as_of timestamptz,
    CONSTRAINT amount_positive CHECK (amount_minor > 0),
    CONSTRAINT accounts_differ CHECK (from_account_id <> to_account_id),
    CONSTRAINT kind_known CHECK (kind BETWEEN 1 AND 4),
    CONSTRAINT movement_currency_well_formed CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT description_not_too_long CHECK (length(description) <= 200),
    CONSTRAINT reference_with_source CHECK ((source IS NULL) = (reference IS NULL)),
    CONSTRAINT service_only_of_purchase CHECK ((kind = 3) = (service_id IS NOT NULL)),
    CONSTRAINT rate_whole CHECK (
        num_nulls(price_minor, price_currency, rate, rate_source, rate_as_of) IN (0, 5)
    ),
    CONSTRAINT rate_positive CHECK (rate IS NULL OR (rate > 0 AND price_minor > 0))
);

-- By account_id, beside accounts. Both sides of a movement that lie on users' accounts: their
-- statements, in the order of sequence, never changed.
CREATE TABLE entries (
    account_id uuid NOT NULL,
    movement_id uuid NOT NULL,
    counterparty_id uuid NOT NULL,
    sequence bigint NOT NULL,
    amount_minor bigint NOT NULL,
    balance_after_minor bigint NOT NULL,
    created_at timestamptz NOT NULL,
    kind smallint NOT NULL,
    PRIMARY KEY (account_id, sequence),
    CONSTRAINT sequence_positive CHECK (sequence > 0),
    CONSTRAINT entry_not_zero CHECK (amount_minor <> 0),
    CONSTRAINT entry_accounts_differ CHECK (account_id <> counterparty_id),
    CONSTRAINT entry_kind_known CHECK (kind BETWEEN 1 AND 4)
);

-- By movement_id, beside movements. The sides that lie on the service's own accounts, which are not
-- locked and so have no sequence.
CREATE TABLE system_entries (
    movement_id uuid NOT NULL,
    account_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (movement_id, account_id),
    CONSTRAINT system_entry_not_zero CHECK (amount_minor <> 0)
);

-- By account_id. What each commit added to a system account, until it is rolled up. The account's
-- balance is the rolled-up balance and the deltas still waiting, exact in every snapshot.
CREATE TABLE system_deltas (
    delta_id uuid NOT NULL,
    account_id uuid NOT NULL,
    amount_minor numeric NOT NULL,
    entries bigint NOT NULL,
    PRIMARY KEY (account_id, delta_id)
);

CREATE TABLE system_accounts (
    account_id uuid PRIMARY KEY,
    name text NOT NULL,
    currency text NOT NULL,
    balance_minor numeric NOT NULL DEFAULT 0,
    entries bigint NOT NULL DEFAULT 0
);

-- By account_id, beside accounts. Decides that an account buys a service once.
CREATE TABLE purchases (
    account_id uuid NOT NULL,
    service_id uuid NOT NULL,
    movement_id uuid NOT NULL,
    PRIMARY KEY (account_id, service_id)
);

-- By reference. Decides that a source uses an external reference once.
CREATE TABLE external_references (
    reference text NOT NULL,
    source text NOT NULL,
    movement_id uuid NOT NULL,
    PRIMARY KEY (reference, source),
    CONSTRAINT reference_not_too_long CHECK (length(reference) BETWEEN 1 AND 100),
    CONSTRAINT source_not_too_long CHECK (length(source) BETWEEN 1 AND 60)
);

GRANT SELECT, INSERT ON movements, entries, system_entries, purchases, external_references,
account_owners, account_numbers TO balance_service;
GRANT SELECT, INSERT, UPDATE ON accounts, system_accounts TO balance_service;
GRANT SELECT, INSERT, DELETE ON system_deltas TO balance_service;
-- Row locks need a privilege beyond SELECT; this one column is the least that gives it.
GRANT UPDATE (delta_id) ON system_deltas TO balance_service;
