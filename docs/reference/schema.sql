-- What the migrations make, as pg_dump tells it; written by `make docs`.

CREATE SCHEMA reports;

CREATE FUNCTION public.receipt_turn(account_ids uuid[], OUT now timestamp with time zone, OUT place pg_lsn) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    last_changed bigint := (
        SELECT (extract(EPOCH FROM max(a.changed_at)) * 1000000)::bigint
        FROM accounts AS a
        WHERE a.account_id = ANY(account_ids)
    );
    moment bigint;
BEGIN
    BEGIN
        PERFORM pg_advisory_xact_lock(32199624922591348);
        SELECT setval('receipts_clock', greatest(
            c.last_value, last_changed, (extract(EPOCH FROM clock_timestamp()) * 1000000)::bigint
        ))
        INTO moment
        FROM receipts_clock AS c;
        place := pg_current_wal_insert_lsn();
        RAISE EXCEPTION USING ERRCODE = 'TURNS';
    EXCEPTION WHEN SQLSTATE 'TURNS' THEN
        now := timestamptz 'epoch' + moment * interval '1 microsecond';
    END;
END;
$$;

CREATE TABLE public.account_changes (
    account_id uuid NOT NULL,
    change_id uuid NOT NULL,
    kind smallint NOT NULL,
    status_before smallint NOT NULL,
    status_after smallint NOT NULL,
    limit_before_minor bigint NOT NULL,
    limit_after_minor bigint NOT NULL,
    debit_limit_before_minor bigint,
    debit_limit_after_minor bigint,
    daily_limit_before_minor bigint,
    daily_limit_after_minor bigint,
    reason text NOT NULL,
    principal text NOT NULL,
    request_id uuid,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT change_kind_known CHECK (((kind >= 1) AND (kind <= 5))),
    CONSTRAINT reason_not_too_long CHECK ((length(reason) <= 200))
);

CREATE TABLE public.account_numbers (
    number bigint NOT NULL,
    account_id uuid NOT NULL,
    CONSTRAINT number_has_ten_digits CHECK (((number >= 1000000000) AND (number <= '9999999999'::bigint)))
);

CREATE TABLE public.account_owners (
    owner_id uuid NOT NULL,
    currency text NOT NULL,
    account_id uuid NOT NULL
);

CREATE TABLE public.accounts (
    account_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    number bigint NOT NULL,
    currency text NOT NULL,
    balance_minor bigint DEFAULT 0 NOT NULL,
    held_minor bigint DEFAULT 0 NOT NULL,
    limit_minor bigint DEFAULT 0 NOT NULL,
    status smallint DEFAULT 1 NOT NULL,
    sequence bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    spent_minor bigint DEFAULT 0 NOT NULL,
    debit_limit_minor bigint,
    daily_limit_minor bigint,
    sub_account_count smallint DEFAULT 0 NOT NULL,
    CONSTRAINT balance_within_limit CHECK (((balance_minor - held_minor) >= (- limit_minor))),
    CONSTRAINT closed_is_empty CHECK (((status <> 3) OR ((balance_minor = 0) AND (held_minor = 0)))),
    CONSTRAINT currency_well_formed CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT held_not_negative CHECK ((held_minor >= 0)),
    CONSTRAINT limit_not_negative CHECK ((limit_minor >= 0)),
    CONSTRAINT sequence_not_negative CHECK ((sequence >= 0))
)
WITH (fillfactor='70');

CREATE TABLE public.approvals (
    approval_id uuid NOT NULL,
    method text NOT NULL,
    request bytea NOT NULL,
    request_id uuid,
    requester text NOT NULL,
    target text NOT NULL,
    value_before jsonb NOT NULL,
    value_after jsonb NOT NULL,
    reason text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    status smallint DEFAULT 1 NOT NULL,
    decider text DEFAULT ''::text NOT NULL,
    decided_at timestamp with time zone,
    decision_reason text DEFAULT ''::text NOT NULL,
    CONSTRAINT approval_decided_by_another CHECK ((decider <> requester)),
    CONSTRAINT approval_status_known CHECK (((status >= 1) AND (status <= 3)))
);

CREATE TABLE public.archives (
    ends_at timestamp with time zone NOT NULL,
    starts_at timestamp with time zone,
    values_end_at timestamp with time zone,
    entries bigint NOT NULL,
    entries_minor numeric NOT NULL,
    entries_bytes bigint NOT NULL,
    entries_sha256 bytea NOT NULL,
    system_entries bigint NOT NULL,
    system_entries_minor numeric NOT NULL,
    system_entries_bytes bigint NOT NULL,
    system_entries_sha256 bytea NOT NULL,
    last_checkpoint bigint NOT NULL,
    archived_at timestamp with time zone NOT NULL,
    CONSTRAINT archive_begins_before_it_ends CHECK ((starts_at < ends_at)),
    CONSTRAINT archive_of_so_many CHECK (((entries >= 0) AND (system_entries >= 0)))
);

CREATE TABLE public.audit_events (
    event_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    action text NOT NULL,
    refusal text NOT NULL,
    actor text NOT NULL,
    session_id uuid,
    network text NOT NULL,
    request_id text NOT NULL,
    target text NOT NULL,
    value_before jsonb NOT NULL,
    value_after jsonb NOT NULL,
    reason text NOT NULL
);

CREATE TABLE public.audit_seals (
    sequence bigint NOT NULL,
    event_id uuid NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE public.audit_unsealed (
    event_id uuid NOT NULL,
    transaction_id xid8 NOT NULL
);

CREATE TABLE public.brought_forward (
    account_id uuid NOT NULL,
    sequence bigint NOT NULL,
    balance_minor bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT brought_forward_sequence_positive CHECK ((sequence > 0))
);

CREATE TABLE public.caller_references (
    reference text NOT NULL,
    source text NOT NULL,
    principal text NOT NULL,
    movement_id uuid NOT NULL,
    CONSTRAINT caller_reference_not_too_long CHECK (((length(reference) >= 1) AND (length(reference) <= 100))),
    CONSTRAINT caller_source_not_too_long CHECK (((length(source) >= 1) AND (length(source) <= 60)))
);

CREATE TABLE public.checkpoints (
    number bigint NOT NULL,
    origin text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    size integer NOT NULL,
    root bytea NOT NULL,
    previous_hash bytea NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL,
    last_event bigint NOT NULL,
    salt_key bytea NOT NULL,
    movement_ids uuid[] NOT NULL,
    from_sequences bigint[] NOT NULL,
    to_sequences bigint[] NOT NULL,
    leaves bytea NOT NULL
);
ALTER TABLE ONLY public.checkpoints ALTER COLUMN movement_ids SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.checkpoints ALTER COLUMN from_sequences SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.checkpoints ALTER COLUMN to_sequences SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.checkpoints ALTER COLUMN leaves SET STORAGE EXTERNAL;

CREATE TABLE public.client_certificates (
    client_id text NOT NULL,
    certificate_id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    used_on date,
    CONSTRAINT name_well_formed CHECK (((name ~ '^(sha256|uri|dns):'::text) AND (length(name) <= 300)))
);

CREATE TABLE public.client_secrets (
    client_id text NOT NULL,
    secret_id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    mark bytea,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    used_on date
);

CREATE TABLE public.confirmation_codes (
    email text NOT NULL,
    code_hash bytea NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    sent_count smallint DEFAULT 1 NOT NULL,
    counted_since timestamp with time zone NOT NULL,
    CONSTRAINT attempts_limited CHECK (((attempts >= 0) AND (attempts <= 5)))
);

CREATE TABLE public.covered_movements (
    movement_id uuid NOT NULL,
    number bigint NOT NULL
);

CREATE TABLE public.entries (
    account_id uuid NOT NULL,
    movement_id uuid NOT NULL,
    counterparty_id uuid NOT NULL,
    sequence bigint NOT NULL,
    amount_minor bigint NOT NULL,
    balance_after_minor bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    kind smallint NOT NULL,
    effective_at timestamp with time zone,
    CONSTRAINT entry_accounts_differ CHECK ((account_id <> counterparty_id)),
    CONSTRAINT entry_not_zero CHECK ((amount_minor <> 0)),
    CONSTRAINT sequence_positive CHECK ((sequence > 0))
);

CREATE TABLE public.event_exporters (
    name text NOT NULL,
    place_sequence bigint NOT NULL,
    place_event_id uuid NOT NULL,
    lease uuid,
    leased_until timestamp with time zone NOT NULL
);

CREATE TABLE public.events (
    last_sequence bigint NOT NULL,
    size integer NOT NULL,
    movement_ids uuid[] NOT NULL,
    from_sequences bigint[] NOT NULL,
    to_sequences bigint[] NOT NULL,
    event_id uuid,
    kind smallint,
    subject_id uuid,
    details jsonb,
    created_at timestamp with time zone NOT NULL,
    numbered_at timestamp with time zone NOT NULL
)
WITH (toast_tuple_target='8160');
ALTER TABLE ONLY public.events ALTER COLUMN movement_ids SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.events ALTER COLUMN from_sequences SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.events ALTER COLUMN to_sequences SET STORAGE EXTERNAL;

CREATE TABLE public.exchange_rates (
    source text NOT NULL,
    currency text NOT NULL,
    base text NOT NULL,
    units numeric NOT NULL,
    value numeric NOT NULL,
    as_of timestamp with time zone NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    CONSTRAINT rate_figures_positive CHECK (((units > (0)::numeric) AND (value > (0)::numeric)))
);

CREATE TABLE public.external_ids (
    external_id text NOT NULL,
    source text NOT NULL,
    kind smallint NOT NULL,
    subject_id uuid NOT NULL,
    CONSTRAINT external_id_not_too_long CHECK (((length(external_id) >= 1) AND (length(external_id) <= 100))),
    CONSTRAINT external_kind_known CHECK (((kind >= 1) AND (kind <= 2))),
    CONSTRAINT external_source_not_too_long CHECK (((length(source) >= 1) AND (length(source) <= 60)))
);

CREATE TABLE public.external_references (
    reference text NOT NULL,
    source text NOT NULL,
    movement_id uuid NOT NULL,
    CONSTRAINT reference_not_too_long CHECK (((length(reference) >= 1) AND (length(reference) <= 100))),
    CONSTRAINT source_not_too_long CHECK (((length(source) >= 1) AND (length(source) <= 60)))
);

CREATE TABLE public.follows (
    original_id uuid NOT NULL,
    movement_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    price_minor bigint NOT NULL,
    CONSTRAINT follow_amount_positive CHECK ((amount_minor > 0)),
    CONSTRAINT follow_price_not_negative CHECK ((price_minor >= 0))
);

CREATE TABLE public.holds (
    account_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    left_minor bigint NOT NULL,
    captured_minor bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    status smallint NOT NULL,
    CONSTRAINT captured_hold_has_captures CHECK (((status <> 2) OR (captured_minor > 0))),
    CONSTRAINT captured_not_negative CHECK ((captured_minor >= 0)),
    CONSTRAINT hold_lasts CHECK ((expires_at > created_at)),
    CONSTRAINT hold_status_known CHECK (((status >= 1) AND (status <= 4))),
    CONSTRAINT left_not_negative CHECK ((left_minor >= 0)),
    CONSTRAINT open_hold_has_something_left CHECK (((status = 1) = (left_minor > 0)))
)
WITH (fillfactor='70');

CREATE TABLE public.idempotency_keys (
    principal text NOT NULL,
    request_id uuid NOT NULL,
    method text NOT NULL,
    request bytea NOT NULL,
    answer bytea,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.known_askers (
    asker bytea NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    mailbox bytea
);

CREATE TABLE public.ledger_totals (
    span smallint NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    role text NOT NULL,
    currency text NOT NULL,
    debit_minor numeric NOT NULL,
    credit_minor numeric NOT NULL,
    entries bigint NOT NULL,
    opened bigint NOT NULL,
    CONSTRAINT total_not_negative CHECK (((debit_minor >= (0)::numeric) AND (credit_minor >= (0)::numeric) AND (entries >= 0) AND (opened >= 0))),
    CONSTRAINT total_span_known CHECK ((span = ANY (ARRAY[1, 2])))
)
WITH (fillfactor='70');

CREATE TABLE public.limit_ends (
    account_id uuid NOT NULL,
    change_id uuid NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    debit_limit_minor bigint,
    daily_limit_minor bigint,
    principal text NOT NULL
);

CREATE TABLE public.movement_labels (
    value text NOT NULL,
    key text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    movement_id uuid NOT NULL
);

CREATE TABLE public.movements (
    movement_id uuid NOT NULL,
    from_account_id uuid NOT NULL,
    to_account_id uuid NOT NULL,
    request_id uuid,
    amount_minor bigint NOT NULL,
    balance_after_minor bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
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
    rate_as_of timestamp with time zone,
    original_id uuid,
    whole boolean,
    final boolean,
    expires_at timestamp with time zone,
    effective_at timestamp with time zone,
    quote_id uuid,
    quantity integer,
    CONSTRAINT accounts_differ CHECK ((from_account_id <> to_account_id)),
    CONSTRAINT amount_positive CHECK ((amount_minor > 0)),
    CONSTRAINT description_not_too_long CHECK ((length(description) <= 200)),
    CONSTRAINT movement_currency_well_formed CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT rate_whole CHECK ((num_nulls(price_minor, price_currency, rate, rate_source, rate_as_of) = ANY (ARRAY[0, 5]))),
    CONSTRAINT reference_with_source CHECK (((source IS NULL) = (reference IS NULL)))
);

CREATE TABLE public.outbox (
    place pg_lsn DEFAULT pg_current_wal_insert_lsn() NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    movement_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    from_sequences bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    to_sequences bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    event_id uuid,
    kind smallint,
    subject_id uuid,
    details jsonb,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    waiting smallint DEFAULT 0 NOT NULL,
    CONSTRAINT outbox_of_one_sort CHECK (((cardinality(movement_ids) = 0) = (kind IS NOT NULL))),
    CONSTRAINT outbox_sides_of_movements CHECK (((cardinality(from_sequences) = cardinality(movement_ids)) AND (cardinality(to_sequences) = cardinality(movement_ids)))),
    CONSTRAINT outbox_subject_of_kind CHECK ((num_nulls(kind, event_id, subject_id) = ANY (ARRAY[0, 3])))
)
WITH (toast_tuple_target='8160');
ALTER TABLE ONLY public.outbox ALTER COLUMN movement_ids SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.outbox ALTER COLUMN from_sequences SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.outbox ALTER COLUMN to_sequences SET STORAGE EXTERNAL;

CREATE TABLE public.purchases (
    account_id uuid NOT NULL,
    service_id uuid NOT NULL,
    movement_id uuid NOT NULL
);

CREATE TABLE public.quote_uses (
    account_id uuid NOT NULL,
    quote_id uuid NOT NULL,
    movement_id uuid NOT NULL
);

CREATE TABLE public.quotes (
    quote_id uuid NOT NULL,
    account_id uuid NOT NULL,
    paid_minor bigint NOT NULL,
    received_minor bigint NOT NULL,
    rate_as_of timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    rounding smallint NOT NULL,
    principal text NOT NULL,
    paid_currency text NOT NULL,
    received_currency text NOT NULL,
    rate numeric NOT NULL,
    rate_source text NOT NULL,
    kept boolean DEFAULT false NOT NULL,
    CONSTRAINT quote_amounts_positive CHECK (((paid_minor > 0) AND (received_minor > 0) AND (rate > (0)::numeric))),
    CONSTRAINT quote_currencies_differ CHECK ((paid_currency <> received_currency)),
    CONSTRAINT quote_currencies_well_formed CHECK (((paid_currency ~ '^[A-Z]{3}$'::text) AND (received_currency ~ '^[A-Z]{3}$'::text))),
    CONSTRAINT quote_holds_at_most_an_hour CHECK (((expires_at > created_at) AND (expires_at <= (created_at + '01:00:00'::interval)))),
    CONSTRAINT quote_rounding_known CHECK (((rounding >= 1) AND (rounding <= 2)))
);

CREATE TABLE public.rate_fetches (
    source text NOT NULL,
    due_at timestamp with time zone NOT NULL
);

CREATE TABLE public.rate_sheets (
    source text NOT NULL,
    as_of timestamp with time zone NOT NULL,
    base text NOT NULL,
    currencies text[] NOT NULL,
    units numeric[] NOT NULL,
    worth numeric[] NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    CONSTRAINT sheet_even CHECK (((cardinality(units) = cardinality(currencies)) AND (cardinality(worth) = cardinality(currencies)))),
    CONSTRAINT sheet_figures_positive CHECK ((((0)::numeric < ALL (units)) AND ((0)::numeric < ALL (worth))))
);

CREATE SEQUENCE public.receipts_clock
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.recovery_codes (
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    mark bytea
);

CREATE TABLE public.refresh_tokens (
    token_hash bytea NOT NULL,
    session_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);

CREATE TABLE public.schedule_occurrences (
    schedule_id uuid NOT NULL,
    occurs_at timestamp with time zone NOT NULL,
    outcome smallint NOT NULL,
    reason text NOT NULL,
    movement_id uuid,
    attempts integer NOT NULL,
    decided_at timestamp with time zone NOT NULL,
    CONSTRAINT schedule_occurrences_done_have_movements CHECK ((((outcome = 1) = (movement_id IS NOT NULL)) AND ((outcome = 1) = (reason = ''::text))))
);

CREATE TABLE public.schedules (
    schedule_id uuid NOT NULL,
    principal text NOT NULL,
    account_id uuid NOT NULL,
    kind smallint NOT NULL,
    request bytea NOT NULL,
    description text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    rule text NOT NULL,
    zone text NOT NULL,
    starts_local timestamp without time zone,
    last_local timestamp without time zone,
    ends_at timestamp with time zone,
    retry_interval interval,
    retry_lasting interval,
    status smallint NOT NULL,
    version integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    next_at timestamp with time zone,
    run_at timestamp with time zone,
    leased_until timestamp with time zone,
    attempts integer NOT NULL,
    resumed_at timestamp with time zone,
    CONSTRAINT schedules_kind CHECK ((kind = ANY (ARRAY[3, 4]))),
    CONSTRAINT schedules_local_with_rule CHECK ((((rule = ''::text) = (starts_local IS NULL)) AND ((rule = ''::text) = (zone = ''::text)))),
    CONSTRAINT schedules_retry_is_whole CHECK (((retry_interval IS NULL) = (retry_lasting IS NULL))),
    CONSTRAINT schedules_run_needs_occurrence CHECK (((run_at IS NULL) OR (next_at IS NOT NULL)))
);

CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    expands boolean
);

CREATE TABLE public.second_factors (
    user_id uuid NOT NULL,
    sealed_secret bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    confirmed_at timestamp with time zone,
    last_step bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.service_principals (
    client_id text NOT NULL,
    secret_hash bytea NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT client_id_well_formed CHECK ((client_id ~ '^[a-z][a-z0-9-]{1,39}$'::text))
);

CREATE TABLE public.service_sales (
    month date NOT NULL,
    service_id uuid NOT NULL,
    currency text NOT NULL,
    price_currency text NOT NULL,
    purchases bigint NOT NULL,
    quantity bigint NOT NULL,
    gross_minor numeric NOT NULL,
    gross_price_minor numeric NOT NULL,
    refunds bigint NOT NULL,
    refunded_minor numeric NOT NULL,
    refunded_price_minor numeric NOT NULL,
    CONSTRAINT sale_not_negative CHECK (((purchases >= 0) AND (quantity >= purchases) AND (refunds >= 0) AND (gross_minor >= (0)::numeric) AND (gross_price_minor >= (0)::numeric) AND (refunded_minor >= (0)::numeric) AND (refunded_price_minor >= (0)::numeric))),
    CONSTRAINT sales_of_whole_month CHECK ((EXTRACT(day FROM month) = (1)::numeric))
)
WITH (fillfactor='70');

CREATE TABLE public.services (
    service_id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    price_minor bigint NOT NULL,
    currency text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    repeatable boolean DEFAULT false NOT NULL,
    CONSTRAINT name_not_too_long CHECK (((length(name) >= 1) AND (length(name) <= 50))),
    CONSTRAINT price_positive CHECK ((price_minor > 0)),
    CONSTRAINT service_currency_well_formed CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT service_description_not_too_long CHECK ((length(description) <= 1000))
);

CREATE TABLE public.sessions (
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    second_factor boolean DEFAULT false NOT NULL,
    refreshed_at timestamp with time zone
);

CREATE TABLE public.sign_in_quotas (
    key bytea NOT NULL,
    full_at timestamp with time zone NOT NULL
);

CREATE TABLE public.signing_keys (
    key_id text NOT NULL,
    sealed_private_key bytea NOT NULL,
    public_key bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone,
    signs_at timestamp with time zone DEFAULT now() NOT NULL,
    stops_at timestamp with time zone
);

CREATE TABLE public.sub_accounts (
    account_id uuid NOT NULL,
    place smallint NOT NULL,
    received_minor bigint DEFAULT 0 NOT NULL,
    receipts bigint DEFAULT 0 NOT NULL,
    CONSTRAINT sub_account_receipts_not_negative CHECK ((receipts >= 0)),
    CONSTRAINT sub_account_received_not_negative CHECK ((received_minor >= 0))
)
WITH (fillfactor='70');

CREATE TABLE public.subject_external_ids (
    subject_id uuid NOT NULL,
    source text NOT NULL,
    external_id text NOT NULL
);

CREATE TABLE public.system_accounts (
    account_id uuid NOT NULL,
    name text NOT NULL,
    currency text NOT NULL,
    balance_minor numeric DEFAULT 0 NOT NULL,
    entries bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.system_brought_forward (
    account_id uuid NOT NULL,
    amount_minor numeric NOT NULL,
    entries bigint NOT NULL,
    CONSTRAINT system_brought_forward_of_entries CHECK ((entries > 0))
);

CREATE TABLE public.system_deltas (
    delta_id uuid NOT NULL,
    account_id uuid NOT NULL,
    amount_minor numeric NOT NULL,
    entries bigint NOT NULL
);

CREATE TABLE public.system_entries (
    movement_id uuid NOT NULL,
    account_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT system_entry_not_zero CHECK ((amount_minor <> 0))
);

CREATE TABLE public.totals_progress (
    only_row boolean DEFAULT true NOT NULL,
    followed_sequence bigint NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    built boolean NOT NULL,
    CONSTRAINT totals_progress_is_one_row CHECK (only_row)
);

CREATE TABLE public.uncovered_history (
    until timestamp with time zone NOT NULL,
    after_id uuid NOT NULL,
    done boolean NOT NULL
);

CREATE TABLE public.users (
    user_id uuid NOT NULL,
    email text,
    username text NOT NULL,
    first_name text DEFAULT ''::text NOT NULL,
    last_name text DEFAULT ''::text NOT NULL,
    bio text DEFAULT ''::text NOT NULL,
    role smallint DEFAULT 1 NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    second_factor boolean DEFAULT false NOT NULL,
    disabled_at timestamp with time zone,
    erased_at timestamp with time zone,
    CONSTRAINT bio_not_too_long CHECK ((length(bio) <= 200)),
    CONSTRAINT email_in_lower_case CHECK (((email = lower(email)) AND (length(email) <= 254))),
    CONSTRAINT names_not_too_long CHECK (((length(first_name) <= 150) AND (length(last_name) <= 150))),
    CONSTRAINT role_known CHECK (((role >= 1) AND (role <= 3))),
    CONSTRAINT username_well_formed CHECK ((username ~ '^[A-Za-z][A-Za-z0-9._-]{2,29}$'::text))
);

CREATE TABLE public.verifications (
    verification_hash bytea NOT NULL,
    email text NOT NULL,
    code_hash bytea NOT NULL,
    asker bytea NOT NULL,
    asker_known boolean NOT NULL,
    guesses smallint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT guesses_limited CHECK (((guesses >= 0) AND (guesses <= 5)))
);

CREATE TABLE public.waiting_receipts (
    account_id uuid NOT NULL,
    place pg_lsn NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    sub_account smallint NOT NULL,
    ordinals bigint[] NOT NULL,
    movement_ids uuid[] NOT NULL,
    kinds smallint[] NOT NULL,
    amounts_minor bigint[] NOT NULL,
    counterparty_ids uuid[] NOT NULL,
    effective_at timestamp with time zone[] NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.webhook_deliveries (
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    sequence bigint,
    kind smallint,
    state smallint NOT NULL,
    attempts integer NOT NULL,
    http_status smallint NOT NULL,
    error text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    attempted_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    CONSTRAINT webhook_deliveries_of_event CHECK (((sequence IS NULL) = (kind IS NULL))),
    CONSTRAINT webhook_deliveries_pending CHECK (((state = 1) = (next_attempt_at IS NOT NULL)))
);

CREATE TABLE public.webhook_endpoints (
    endpoint_id uuid NOT NULL,
    owner text NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    types smallint[] NOT NULL,
    account_ids uuid[] NOT NULL,
    disabled boolean NOT NULL,
    disabled_reason smallint NOT NULL,
    secret bytea NOT NULL,
    secret_at timestamp with time zone NOT NULL,
    old_secret bytea,
    old_secret_until timestamp with time zone,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    place_sequence bigint NOT NULL,
    place_event_id uuid NOT NULL,
    failures integer NOT NULL,
    failing_since timestamp with time zone,
    rests_until timestamp with time zone NOT NULL,
    lease uuid,
    leased_until timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone
);

CREATE VIEW reports.accounts AS
 SELECT account_id,
    number,
    owner_id,
    currency,
    balance_minor,
    held_minor,
    limit_minor AS overdraft_minor,
    sequence AS entries,
    created_at AS opened_at,
    changed_at,
        CASE status
            WHEN 1 THEN 'active'::text
            WHEN 2 THEN 'frozen'::text
            WHEN 3 THEN 'closed'::text
            WHEN 4 THEN 'debits_frozen'::text
            ELSE NULL::text
        END AS status
   FROM public.accounts;

CREATE VIEW reports.currencies AS
 SELECT currency,
    decimals,
    (((10)::double precision ^ (decimals)::double precision))::bigint AS minor_units
   FROM ( SELECT listed.decimals,
            unnest(string_to_array(listed.codes, ' '::text)) AS currency
           FROM ( VALUES (0,'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'::text), (2,((((((('AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD '::text || 'BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP '::text) || 'ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR '::text) || 'ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL '::text) || 'MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR '::text) || 'NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD '::text) || 'SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS '::text) || 'UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG'::text)), (3,'BHD IQD JOD KWD LYD OMR TND'::text)) listed(decimals, codes)) c;

CREATE VIEW reports.kinds AS
 SELECT kind,
    name
   FROM ( VALUES ((1)::smallint,'deposit'::text), ((2)::smallint,'withdrawal'::text), ((3)::smallint,'purchase'::text), ((4)::smallint,'transfer'::text), ((5)::smallint,'deposit_reversal'::text), ((6)::smallint,'withdrawal_reversal'::text), ((7)::smallint,'refund'::text), ((8)::smallint,'transfer_reversal'::text), ((9)::smallint,'exchange'::text), ((13)::smallint,'exchange_reversal'::text)) k(kind, name);

CREATE VIEW reports.entries AS
 SELECT e.account_id,
    e.sequence,
    e.movement_id,
    k.name AS kind,
    e.counterparty_id,
    e.amount_minor,
    e.balance_after_minor,
    e.created_at AS booked_at,
    COALESCE(e.effective_at, e.created_at) AS value_at
   FROM (public.entries e
     JOIN reports.kinds k ON ((e.kind = k.kind)));

CREATE VIEW reports.movements AS
 SELECT m.movement_id,
    k.name AS kind,
    m.from_account_id,
    m.to_account_id,
    m.currency,
    m.amount_minor,
    m.price_currency AS other_currency,
    m.price_minor AS other_minor,
    m.service_id,
    m.quantity,
    m.original_id,
    m.source,
    m.reference,
    m.created_at AS booked_at,
    COALESCE(m.effective_at, m.created_at) AS value_at
   FROM (public.movements m
     JOIN reports.kinds k ON ((m.kind = k.kind)));

CREATE VIEW reports.sales_by_service_and_month AS
 SELECT s.month,
    s.service_id,
    services.name AS service,
    s.currency,
    s.purchases,
    s.gross_minor,
    s.refunds,
    s.refunded_minor,
    (s.gross_minor - s.refunded_minor) AS net_minor
   FROM (( SELECT m.currency,
            (date_trunc('month'::text, (m.created_at AT TIME ZONE 'UTC'::text)))::date AS month,
            COALESCE(m.service_id, bought.service_id) AS service_id,
            count(*) FILTER (WHERE (m.kind = 3)) AS purchases,
            COALESCE(sum(m.amount_minor) FILTER (WHERE (m.kind = 3)), (0)::numeric) AS gross_minor,
            count(*) FILTER (WHERE (m.kind = 7)) AS refunds,
            COALESCE(sum(m.amount_minor) FILTER (WHERE (m.kind = 7)), (0)::numeric) AS refunded_minor
           FROM (public.movements m
             LEFT JOIN public.movements bought ON (((m.original_id = bought.movement_id) AND (m.kind = 7))))
          WHERE (m.kind = ANY (ARRAY[3, 7]))
          GROUP BY ((date_trunc('month'::text, (m.created_at AT TIME ZONE 'UTC'::text)))::date), COALESCE(m.service_id, bought.service_id), m.currency) s
     LEFT JOIN public.services ON ((s.service_id = services.service_id)));

ALTER TABLE ONLY public.account_changes
    ADD CONSTRAINT account_changes_pkey PRIMARY KEY (account_id, change_id);

ALTER TABLE ONLY public.account_numbers
    ADD CONSTRAINT account_numbers_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.account_owners
    ADD CONSTRAINT account_owners_pkey PRIMARY KEY (owner_id, currency);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.approvals
    ADD CONSTRAINT approvals_pkey PRIMARY KEY (approval_id);

ALTER TABLE ONLY public.archives
    ADD CONSTRAINT archives_pkey PRIMARY KEY (ends_at);

ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT audit_events_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY public.audit_seals
    ADD CONSTRAINT audit_seals_pkey PRIMARY KEY (sequence);

ALTER TABLE ONLY public.audit_unsealed
    ADD CONSTRAINT audit_unsealed_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY public.brought_forward
    ADD CONSTRAINT brought_forward_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.caller_references
    ADD CONSTRAINT caller_references_pkey PRIMARY KEY (reference, source, principal);

ALTER TABLE ONLY public.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.client_certificates
    ADD CONSTRAINT client_certificates_pkey PRIMARY KEY (client_id, certificate_id);

ALTER TABLE ONLY public.client_secrets
    ADD CONSTRAINT client_secrets_pkey PRIMARY KEY (client_id, secret_id);

ALTER TABLE ONLY public.confirmation_codes
    ADD CONSTRAINT confirmation_codes_pkey PRIMARY KEY (email);

ALTER TABLE ONLY public.covered_movements
    ADD CONSTRAINT covered_movements_pkey PRIMARY KEY (movement_id);

ALTER TABLE public.accounts
    ADD CONSTRAINT debit_limits_not_negative CHECK (((debit_limit_minor >= 0) AND (daily_limit_minor >= 0))) NOT VALID;

ALTER TABLE ONLY public.entries
    ADD CONSTRAINT entries_pkey PRIMARY KEY (account_id, sequence);

ALTER TABLE public.entries
    ADD CONSTRAINT entry_kind_known CHECK (((kind >= 1) AND (kind <= 13))) NOT VALID;

ALTER TABLE ONLY public.event_exporters
    ADD CONSTRAINT event_exporters_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (last_sequence);

ALTER TABLE ONLY public.exchange_rates
    ADD CONSTRAINT exchange_rates_pkey PRIMARY KEY (source, currency);

ALTER TABLE ONLY public.external_ids
    ADD CONSTRAINT external_ids_pkey PRIMARY KEY (external_id, source, kind);

ALTER TABLE ONLY public.external_references
    ADD CONSTRAINT external_references_pkey PRIMARY KEY (reference, source);

ALTER TABLE ONLY public.follows
    ADD CONSTRAINT follows_pkey PRIMARY KEY (original_id, movement_id);

ALTER TABLE public.movements
    ADD CONSTRAINT holds_expire CHECK (((kind = 10) = (expires_at IS NOT NULL))) NOT VALID;

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (account_id, hold_id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (principal, request_id);

ALTER TABLE public.movements
    ADD CONSTRAINT kind_known CHECK (((kind >= 1) AND (kind <= 13))) NOT VALID;

ALTER TABLE ONLY public.known_askers
    ADD CONSTRAINT known_askers_pkey PRIMARY KEY (asker);

ALTER TABLE ONLY public.ledger_totals
    ADD CONSTRAINT ledger_totals_pkey PRIMARY KEY (span, starts_at, role, currency);

ALTER TABLE ONLY public.limit_ends
    ADD CONSTRAINT limit_ends_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.movement_labels
    ADD CONSTRAINT movement_labels_pkey PRIMARY KEY (value, key, created_at, movement_id);

ALTER TABLE ONLY public.movements
    ADD CONSTRAINT movements_pkey PRIMARY KEY (movement_id);

ALTER TABLE public.movements
    ADD CONSTRAINT original_of_its_kind CHECK (
CASE
    WHEN (kind = ANY (ARRAY[5, 6, 7, 8, 11, 12, 13])) THEN (original_id IS NOT NULL)
    WHEN (kind = ANY (ARRAY[2, 3, 4])) THEN true
    ELSE (original_id IS NULL)
END) NOT VALID;

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (place, transaction_id);

ALTER TABLE ONLY public.purchases
    ADD CONSTRAINT purchases_pkey PRIMARY KEY (account_id, service_id);

ALTER TABLE public.movements
    ADD CONSTRAINT quantity_of_purchase CHECK (((quantity IS NULL) OR ((kind = ANY (ARRAY[3, 10])) AND ((quantity >= 1) AND (quantity <= 1000))))) NOT VALID;

ALTER TABLE public.movements
    ADD CONSTRAINT quote_of_transfer_or_exchange CHECK ((((kind <> 9) OR (quote_id IS NOT NULL)) AND ((quote_id IS NULL) OR ((kind = ANY (ARRAY[4, 9])) AND (rate IS NOT NULL))))) NOT VALID;

ALTER TABLE ONLY public.quote_uses
    ADD CONSTRAINT quote_uses_pkey PRIMARY KEY (account_id, quote_id);

ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_pkey PRIMARY KEY (quote_id);

ALTER TABLE ONLY public.rate_fetches
    ADD CONSTRAINT rate_fetches_pkey PRIMARY KEY (source);

ALTER TABLE public.movements
    ADD CONSTRAINT rate_positive CHECK (((rate IS NULL) OR ((rate > (0)::numeric) AND (price_minor >=
CASE
    WHEN (original_id IS NULL) THEN 1
    ELSE 0
END)))) NOT VALID;

ALTER TABLE ONLY public.rate_sheets
    ADD CONSTRAINT rate_sheets_pkey PRIMARY KEY (source, as_of);

ALTER TABLE ONLY public.recovery_codes
    ADD CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, code_hash);

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.schedule_occurrences
    ADD CONSTRAINT schedule_occurrences_pkey PRIMARY KEY (schedule_id, occurs_at);

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (schedule_id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT second_factors_pkey PRIMARY KEY (user_id);

ALTER TABLE public.movements
    ADD CONSTRAINT service_only_of_purchase CHECK (
CASE kind
    WHEN 3 THEN (service_id IS NOT NULL)
    WHEN 10 THEN true
    ELSE (service_id IS NULL)
END) NOT VALID;

ALTER TABLE ONLY public.service_principals
    ADD CONSTRAINT service_principals_pkey PRIMARY KEY (client_id);

ALTER TABLE ONLY public.service_sales
    ADD CONSTRAINT service_sales_pkey PRIMARY KEY (month, service_id, currency, price_currency);

ALTER TABLE ONLY public.services
    ADD CONSTRAINT services_pkey PRIMARY KEY (service_id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.sign_in_quotas
    ADD CONSTRAINT sign_in_quotas_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (key_id);

ALTER TABLE public.accounts
    ADD CONSTRAINT spent_not_negative CHECK ((spent_minor >= 0)) NOT VALID;

ALTER TABLE public.accounts
    ADD CONSTRAINT status_known CHECK (((status >= 1) AND (status <= 4))) NOT VALID;

ALTER TABLE ONLY public.sub_accounts
    ADD CONSTRAINT sub_accounts_pkey PRIMARY KEY (account_id, place);

ALTER TABLE ONLY public.subject_external_ids
    ADD CONSTRAINT subject_external_ids_pkey PRIMARY KEY (subject_id, source);

ALTER TABLE ONLY public.system_accounts
    ADD CONSTRAINT system_accounts_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.system_brought_forward
    ADD CONSTRAINT system_brought_forward_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.system_deltas
    ADD CONSTRAINT system_deltas_pkey PRIMARY KEY (account_id, delta_id);

ALTER TABLE ONLY public.system_entries
    ADD CONSTRAINT system_entries_pkey PRIMARY KEY (movement_id, account_id);

ALTER TABLE ONLY public.totals_progress
    ADD CONSTRAINT totals_progress_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.uncovered_history
    ADD CONSTRAINT uncovered_history_pkey PRIMARY KEY (until);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (verification_hash);

ALTER TABLE ONLY public.waiting_receipts
    ADD CONSTRAINT waiting_receipts_pkey PRIMARY KEY (account_id, place, transaction_id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (endpoint_id, event_id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (endpoint_id);

CREATE INDEX approvals_by_time ON public.approvals USING btree (created_at, approval_id);

CREATE INDEX audit_events_by_action ON public.audit_events USING btree (action, created_at, event_id);

CREATE INDEX audit_events_by_actor ON public.audit_events USING btree (actor, created_at, event_id);

CREATE INDEX audit_events_by_target ON public.audit_events USING btree (target, created_at, event_id);

CREATE INDEX audit_events_by_time ON public.audit_events USING btree (created_at, event_id);

CREATE INDEX audit_seals_by_event ON public.audit_seals USING btree (event_id);

CREATE INDEX client_certificates_by_revocation ON public.client_certificates USING btree (revoked_at) WHERE (revoked_at IS NOT NULL);

CREATE INDEX client_secrets_by_revocation ON public.client_secrets USING btree (revoked_at) WHERE (revoked_at IS NOT NULL);

CREATE INDEX events_by_time ON public.events USING btree (numbered_at, last_sequence);

CREATE INDEX holds_by_account ON public.holds USING btree (account_id, created_at, hold_id);

CREATE INDEX holds_by_expiry ON public.holds USING btree (expires_at) WHERE (status = 1);

CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (created_at);

CREATE INDEX known_askers_by_mailbox ON public.known_askers USING btree (mailbox) WHERE (mailbox IS NOT NULL);

CREATE INDEX known_askers_by_time ON public.known_askers USING btree (seen_at);

CREATE INDEX limit_ends_by_end ON public.limit_ends USING btree (ends_at);

CREATE INDEX quotes_to_clear ON public.quotes USING btree (expires_at) WHERE (NOT kept);

CREATE INDEX schedule_occurrences_by_age ON public.schedule_occurrences USING btree (decided_at);

CREATE INDEX schedules_by_account ON public.schedules USING btree (account_id, created_at, schedule_id);

CREATE INDEX schedules_by_principal ON public.schedules USING btree (principal, created_at, schedule_id);

CREATE INDEX schedules_by_status ON public.schedules USING btree (status, created_at, schedule_id);

CREATE INDEX schedules_by_time ON public.schedules USING btree (created_at, schedule_id);

CREATE INDEX schedules_due ON public.schedules USING btree (run_at) WHERE (run_at IS NOT NULL);

CREATE INDEX schedules_live ON public.schedules USING btree (principal) WHERE (status = ANY (ARRAY[1, 2]));

CREATE INDEX sessions_by_revocation ON public.sessions USING btree (revoked_at) WHERE (revoked_at IS NOT NULL);

CREATE INDEX sessions_by_user ON public.sessions USING btree (user_id) WHERE (revoked_at IS NULL);

CREATE INDEX sign_in_quotas_by_time ON public.sign_in_quotas USING btree (full_at);

CREATE UNIQUE INDEX users_email_unique ON public.users USING btree (email);

CREATE UNIQUE INDEX users_username_unique ON public.users USING btree (lower(username));

CREATE INDEX verifications_by_code ON public.verifications USING btree (email, code_hash);

CREATE INDEX verifications_by_end ON public.verifications USING btree (expires_at);

CREATE INDEX webhook_deliveries_by_time ON public.webhook_deliveries USING btree (endpoint_id, created_at, event_id);

CREATE INDEX webhook_deliveries_due ON public.webhook_deliveries USING btree (endpoint_id, next_attempt_at, sequence) WHERE (state = 1);

CREATE INDEX webhook_deliveries_ended ON public.webhook_deliveries USING btree (state, attempted_at) WHERE (state <> 1);

CREATE INDEX webhook_endpoints_by_lease ON public.webhook_endpoints USING btree (leased_until) WHERE ((NOT disabled) AND (deleted_at IS NULL));

CREATE INDEX webhook_endpoints_by_owner ON public.webhook_endpoints USING btree (owner, created_at, endpoint_id) WHERE (deleted_at IS NULL);

CREATE INDEX webhook_endpoints_by_time ON public.webhook_endpoints USING btree (created_at, endpoint_id) WHERE (deleted_at IS NULL);

CREATE INDEX webhook_endpoints_deleted ON public.webhook_endpoints USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

GRANT USAGE ON SCHEMA reports TO balance_reports;

GRANT SELECT,INSERT ON TABLE public.account_changes TO balance_service;

GRANT SELECT,INSERT ON TABLE public.account_numbers TO balance_service;

GRANT SELECT,INSERT ON TABLE public.account_owners TO balance_service;

GRANT SELECT,INSERT ON TABLE public.accounts TO balance_service;

GRANT UPDATE(balance_minor) ON TABLE public.accounts TO balance_service;

GRANT UPDATE(held_minor) ON TABLE public.accounts TO balance_service;

GRANT UPDATE(limit_minor) ON TABLE public.accounts TO balance_service;

GRANT UPDATE(status) ON TABLE public.accounts TO balance_service;

GRANT UPDATE(sequence) ON TABLE public.accounts TO balance_service;

GRANT UPDATE(changed_at) ON TABLE public.accounts TO balance_service;

GRANT UPDATE(spent_minor) ON TABLE public.accounts TO balance_service;

GRANT UPDATE(debit_limit_minor) ON TABLE public.accounts TO balance_service;

GRANT UPDATE(daily_limit_minor) ON TABLE public.accounts TO balance_service;

GRANT UPDATE(sub_account_count) ON TABLE public.accounts TO balance_service;

GRANT SELECT,INSERT ON TABLE public.approvals TO balance_service;

GRANT UPDATE(status) ON TABLE public.approvals TO balance_service;

GRANT UPDATE(decider) ON TABLE public.approvals TO balance_service;

GRANT UPDATE(decided_at) ON TABLE public.approvals TO balance_service;

GRANT UPDATE(decision_reason) ON TABLE public.approvals TO balance_service;

GRANT SELECT ON TABLE public.archives TO balance_service;

GRANT SELECT,INSERT ON TABLE public.audit_events TO balance_service;

GRANT SELECT,INSERT ON TABLE public.audit_seals TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.audit_unsealed TO balance_service;

GRANT SELECT ON TABLE public.brought_forward TO balance_service;

GRANT SELECT,INSERT ON TABLE public.caller_references TO balance_service;

GRANT SELECT,INSERT ON TABLE public.checkpoints TO balance_service;

GRANT SELECT,INSERT ON TABLE public.client_certificates TO balance_service;

GRANT UPDATE(revoked_at) ON TABLE public.client_certificates TO balance_service;

GRANT UPDATE(used_on) ON TABLE public.client_certificates TO balance_service;

GRANT SELECT,INSERT ON TABLE public.client_secrets TO balance_service;

GRANT UPDATE(secret_hash) ON TABLE public.client_secrets TO balance_service;

GRANT UPDATE(mark) ON TABLE public.client_secrets TO balance_service;

GRANT UPDATE(expires_at) ON TABLE public.client_secrets TO balance_service;

GRANT UPDATE(revoked_at) ON TABLE public.client_secrets TO balance_service;

GRANT UPDATE(used_on) ON TABLE public.client_secrets TO balance_service;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.confirmation_codes TO balance_service;

GRANT SELECT,INSERT ON TABLE public.covered_movements TO balance_service;

GRANT SELECT,INSERT ON TABLE public.entries TO balance_service;

GRANT SELECT,INSERT ON TABLE public.event_exporters TO balance_service;

GRANT UPDATE(place_sequence) ON TABLE public.event_exporters TO balance_service;

GRANT UPDATE(place_event_id) ON TABLE public.event_exporters TO balance_service;

GRANT UPDATE(lease) ON TABLE public.event_exporters TO balance_service;

GRANT UPDATE(leased_until) ON TABLE public.event_exporters TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.events TO balance_service;

GRANT SELECT ON TABLE public.exchange_rates TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.external_ids TO balance_service;

GRANT SELECT,INSERT ON TABLE public.external_references TO balance_service;

GRANT SELECT,INSERT ON TABLE public.follows TO balance_service;

GRANT SELECT,INSERT ON TABLE public.holds TO balance_service;

GRANT UPDATE(left_minor) ON TABLE public.holds TO balance_service;

GRANT UPDATE(captured_minor) ON TABLE public.holds TO balance_service;

GRANT UPDATE(status) ON TABLE public.holds TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.idempotency_keys TO balance_service;

GRANT UPDATE(answer) ON TABLE public.idempotency_keys TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.known_askers TO balance_service;

GRANT UPDATE(seen_at) ON TABLE public.known_askers TO balance_service;

GRANT UPDATE(mailbox) ON TABLE public.known_askers TO balance_service;

GRANT SELECT,INSERT ON TABLE public.ledger_totals TO balance_service;

GRANT UPDATE(debit_minor) ON TABLE public.ledger_totals TO balance_service;

GRANT UPDATE(credit_minor) ON TABLE public.ledger_totals TO balance_service;

GRANT UPDATE(entries) ON TABLE public.ledger_totals TO balance_service;

GRANT UPDATE(opened) ON TABLE public.ledger_totals TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.limit_ends TO balance_service;

GRANT UPDATE(change_id) ON TABLE public.limit_ends TO balance_service;

GRANT UPDATE(ends_at) ON TABLE public.limit_ends TO balance_service;

GRANT UPDATE(debit_limit_minor) ON TABLE public.limit_ends TO balance_service;

GRANT UPDATE(daily_limit_minor) ON TABLE public.limit_ends TO balance_service;

GRANT UPDATE(principal) ON TABLE public.limit_ends TO balance_service;

GRANT SELECT,INSERT ON TABLE public.movement_labels TO balance_service;

GRANT SELECT,INSERT ON TABLE public.movements TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.outbox TO balance_service;

GRANT UPDATE(to_sequences) ON TABLE public.outbox TO balance_service;

GRANT UPDATE(waiting) ON TABLE public.outbox TO balance_service;

GRANT SELECT,INSERT ON TABLE public.purchases TO balance_service;

GRANT UPDATE(movement_id) ON TABLE public.purchases TO balance_service;

GRANT SELECT,INSERT ON TABLE public.quote_uses TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.quotes TO balance_service;

GRANT UPDATE(kept) ON TABLE public.quotes TO balance_service;

GRANT SELECT,INSERT ON TABLE public.rate_fetches TO balance_service;

GRANT UPDATE(due_at) ON TABLE public.rate_fetches TO balance_service;

GRANT SELECT,INSERT ON TABLE public.rate_sheets TO balance_service;

GRANT UPDATE(base) ON TABLE public.rate_sheets TO balance_service;

GRANT UPDATE(currencies) ON TABLE public.rate_sheets TO balance_service;

GRANT UPDATE(units) ON TABLE public.rate_sheets TO balance_service;

GRANT UPDATE(worth) ON TABLE public.rate_sheets TO balance_service;

GRANT UPDATE(fetched_at) ON TABLE public.rate_sheets TO balance_service;

GRANT SELECT,UPDATE ON SEQUENCE public.receipts_clock TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.recovery_codes TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.refresh_tokens TO balance_service;

GRANT UPDATE(used_at) ON TABLE public.refresh_tokens TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.schedule_occurrences TO balance_service;

GRANT SELECT,INSERT ON TABLE public.schedules TO balance_service;

GRANT UPDATE(request) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(description) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(ends_at) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(retry_interval) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(retry_lasting) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(status) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(version) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(updated_at) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(next_at) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(run_at) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(leased_until) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(attempts) ON TABLE public.schedules TO balance_service;

GRANT UPDATE(resumed_at) ON TABLE public.schedules TO balance_service;

GRANT SELECT ON TABLE public.schema_migrations TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.second_factors TO balance_service;

GRANT UPDATE(sealed_secret) ON TABLE public.second_factors TO balance_service;

GRANT UPDATE(created_at) ON TABLE public.second_factors TO balance_service;

GRANT UPDATE(confirmed_at) ON TABLE public.second_factors TO balance_service;

GRANT UPDATE(last_step) ON TABLE public.second_factors TO balance_service;

GRANT SELECT,INSERT ON TABLE public.service_principals TO balance_service;

GRANT UPDATE(secret_hash) ON TABLE public.service_principals TO balance_service;

GRANT UPDATE(revoked_at) ON TABLE public.service_principals TO balance_service;

GRANT SELECT,INSERT ON TABLE public.service_sales TO balance_service;

GRANT UPDATE(purchases) ON TABLE public.service_sales TO balance_service;

GRANT UPDATE(quantity) ON TABLE public.service_sales TO balance_service;

GRANT UPDATE(gross_minor) ON TABLE public.service_sales TO balance_service;

GRANT UPDATE(gross_price_minor) ON TABLE public.service_sales TO balance_service;

GRANT UPDATE(refunds) ON TABLE public.service_sales TO balance_service;

GRANT UPDATE(refunded_minor) ON TABLE public.service_sales TO balance_service;

GRANT UPDATE(refunded_price_minor) ON TABLE public.service_sales TO balance_service;

GRANT SELECT,INSERT ON TABLE public.services TO balance_service;

GRANT UPDATE(name) ON TABLE public.services TO balance_service;

GRANT UPDATE(description) ON TABLE public.services TO balance_service;

GRANT UPDATE(price_minor) ON TABLE public.services TO balance_service;

GRANT UPDATE(currency) ON TABLE public.services TO balance_service;

GRANT UPDATE(version) ON TABLE public.services TO balance_service;

GRANT UPDATE(updated_at) ON TABLE public.services TO balance_service;

GRANT UPDATE(deleted_at) ON TABLE public.services TO balance_service;

GRANT UPDATE(repeatable) ON TABLE public.services TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.sessions TO balance_service;

GRANT UPDATE(expires_at) ON TABLE public.sessions TO balance_service;

GRANT UPDATE(revoked_at) ON TABLE public.sessions TO balance_service;

GRANT UPDATE(second_factor) ON TABLE public.sessions TO balance_service;

GRANT UPDATE(refreshed_at) ON TABLE public.sessions TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.sign_in_quotas TO balance_service;

GRANT UPDATE(key) ON TABLE public.sign_in_quotas TO balance_service;

GRANT UPDATE(full_at) ON TABLE public.sign_in_quotas TO balance_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.signing_keys TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.sub_accounts TO balance_service;

GRANT UPDATE(received_minor) ON TABLE public.sub_accounts TO balance_service;

GRANT UPDATE(receipts) ON TABLE public.sub_accounts TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.subject_external_ids TO balance_service;

GRANT SELECT,INSERT ON TABLE public.system_accounts TO balance_service;

GRANT UPDATE(balance_minor) ON TABLE public.system_accounts TO balance_service;

GRANT UPDATE(entries) ON TABLE public.system_accounts TO balance_service;

GRANT SELECT ON TABLE public.system_brought_forward TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.system_deltas TO balance_service;

GRANT UPDATE(delta_id) ON TABLE public.system_deltas TO balance_service;

GRANT SELECT,INSERT ON TABLE public.system_entries TO balance_service;

GRANT SELECT ON TABLE public.totals_progress TO balance_service;

GRANT UPDATE(followed_sequence) ON TABLE public.totals_progress TO balance_service;

GRANT UPDATE(built) ON TABLE public.totals_progress TO balance_service;

GRANT SELECT ON TABLE public.uncovered_history TO balance_service;

GRANT UPDATE(after_id) ON TABLE public.uncovered_history TO balance_service;

GRANT UPDATE(done) ON TABLE public.uncovered_history TO balance_service;

GRANT SELECT,INSERT ON TABLE public.users TO balance_service;

GRANT UPDATE(email) ON TABLE public.users TO balance_service;

GRANT UPDATE(username) ON TABLE public.users TO balance_service;

GRANT UPDATE(first_name) ON TABLE public.users TO balance_service;

GRANT UPDATE(last_name) ON TABLE public.users TO balance_service;

GRANT UPDATE(bio) ON TABLE public.users TO balance_service;

GRANT UPDATE(role) ON TABLE public.users TO balance_service;

GRANT UPDATE(version) ON TABLE public.users TO balance_service;

GRANT UPDATE(updated_at) ON TABLE public.users TO balance_service;

GRANT UPDATE(second_factor) ON TABLE public.users TO balance_service;

GRANT UPDATE(disabled_at) ON TABLE public.users TO balance_service;

GRANT UPDATE(erased_at) ON TABLE public.users TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.verifications TO balance_service;

GRANT UPDATE(guesses) ON TABLE public.verifications TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.waiting_receipts TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.webhook_deliveries TO balance_service;

GRANT UPDATE(state) ON TABLE public.webhook_deliveries TO balance_service;

GRANT UPDATE(attempts) ON TABLE public.webhook_deliveries TO balance_service;

GRANT UPDATE(http_status) ON TABLE public.webhook_deliveries TO balance_service;

GRANT UPDATE(error) ON TABLE public.webhook_deliveries TO balance_service;

GRANT UPDATE(attempted_at) ON TABLE public.webhook_deliveries TO balance_service;

GRANT UPDATE(next_attempt_at) ON TABLE public.webhook_deliveries TO balance_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(url) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(description) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(types) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(account_ids) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(disabled) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(disabled_reason) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(secret) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(secret_at) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(old_secret) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(old_secret_until) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(version) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(updated_at) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(place_sequence) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(place_event_id) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(failures) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(failing_since) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(rests_until) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(lease) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(leased_until) ON TABLE public.webhook_endpoints TO balance_service;

GRANT UPDATE(deleted_at) ON TABLE public.webhook_endpoints TO balance_service;

GRANT SELECT ON TABLE reports.accounts TO balance_reports;

GRANT SELECT ON TABLE reports.currencies TO balance_reports;

GRANT SELECT ON TABLE reports.kinds TO balance_reports;

GRANT SELECT ON TABLE reports.entries TO balance_reports;

GRANT SELECT ON TABLE reports.movements TO balance_reports;

GRANT SELECT ON TABLE reports.sales_by_service_and_month TO balance_reports;
