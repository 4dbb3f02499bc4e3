-- signs_at: from when the key signs; until then it is only published. stops_at: when an operator
-- had it sign no more; else it stops when the next one begins. It verifies for a while after that.
-- retired_at is, as before, when it went out of use altogether.
ALTER TABLE signing_keys
ADD COLUMN signs_at timestamptz NOT NULL DEFAULT now(),
ADD COLUMN stops_at timestamptz;

UPDATE signing_keys SET signs_at = created_at;
