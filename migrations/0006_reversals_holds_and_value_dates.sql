-- squawk-ignore-file ban-drop-constraint

-- What refers to an earlier movement names it in original_id: a reversal what it takes back, a
-- capture or a release its hold. A hold is a movement of the journal, too, so that one key decides
-- what was done for a request id; it has no entries.
ALTER TABLE movements
ADD COLUMN original_id uuid,
ADD COLUMN whole boolean,
ADD COLUMN final boolean,
ADD COLUMN expires_at timestamptz,
ADD COLUMN effective_at timestamptz;

ALTER TABLE entries
ADD COLUMN effective_at timestamptz;

-- Not validated: every row from before meets what these replace, which is stricter, and a scan
-- would keep commits waiting.
ALTER TABLE movements
DROP CONSTRAINT kind_known,
DROP CONSTRAINT service_only_of_purchase,
DROP CONSTRAINT rate_positive,
ADD CONSTRAINT kind_known CHECK (kind BETWEEN 1 AND 12) NOT VALID,
ADD CONSTRAINT service_only_of_purchase CHECK (
    CASE kind WHEN 3 THEN service_id IS NOT NULL WHEN 10 THEN TRUE ELSE service_id IS NULL END
) NOT VALID,
ADD CONSTRAINT rate_positive CHECK (
    rate IS NULL
    OR (rate > 0 AND price_minor >= CASE WHEN original_id IS NULL THEN 1 ELSE 0 END)
) NOT VALID,
ADD CONSTRAINT original_of_its_kind CHECK (
    CASE
        WHEN kind IN (5, 6, 7, 8, 11, 12) THEN original_id IS NOT NULL
        WHEN kind IN (2, 3, 4) THEN TRUE
        ELSE original_id IS NULL
    END
) NOT VALID,
ADD CONSTRAINT holds_expire CHECK ((kind = 10) = (expires_at IS NOT NULL)) NOT VALID;

ALTER TABLE entries
DROP CONSTRAINT entry_kind_known,
ADD CONSTRAINT entry_kind_known CHECK (kind BETWEEN 1 AND 9) NOT VALID;

-- By original_id, beside movements. What followed a movement: what of it was reversed, or of a hold
-- captured. Its sums decide how much is left, under the locks of the movement's accounts.
CREATE TABLE follows (
    original_id uuid NOT NULL,
    movement_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    price_minor bigint NOT NULL,
    PRIMARY KEY (original_id, movement_id),
    CONSTRAINT follow_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT follow_price_not_negative CHECK (price_minor >= 0)
);

-- By account_id, beside accounts. What is left of each hold, changed under its account's lock; what
-- it was made for stands in its movement.
CREATE TABLE holds (
    account_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    left_minor bigint NOT NULL,
    captured_minor bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    status smallint NOT NULL,
    PRIMARY KEY (account_id, hold_id),
    CONSTRAINT hold_status_known CHECK (status BETWEEN 1 AND 4),
    CONSTRAINT open_hold_has_something_left CHECK ((status = 1) = (left_minor > 0)),
    CONSTRAINT left_not_negative CHECK (left_minor >= 0),
    CONSTRAINT captured_not_negative CHECK (captured_minor >= 0),
    CONSTRAINT captured_hold_has_captures CHECK (status <> 2 OR captured_minor > 0),
    CONSTRAINT hold_lasts CHECK (expires_at > created_at)
) WITH (fillfactor = 70);

-- What is to expire next, on each shard.
CREATE INDEX holds_by_expiry ON holds (expires_at) WHERE status = 1;
-- An account's holds in the order in which they are listed.
CREATE INDEX holds_by_account ON holds (account_id, created_at, hold_id);

GRANT SELECT, INSERT ON follows TO balance_service;
GRANT SELECT, INSERT ON holds TO balance_service;
GRANT UPDATE (left_minor, captured_minor, status) ON holds TO balance_service;
-- A service that was refunded whole may be bought again.
GRANT UPDATE (movement_id) ON purchases TO balance_service;
