-- By reference. Decides that a caller uses a reference of an outside system once; what others use
-- under the same name is theirs.
--
-- external_references decided it for all callers together, and still does for versions before this
-- one that run beside it: this version writes there, too, what nobody else has taken, and reads
-- there what was taken by the same caller. A later migration moves those rows here and drops it.
CREATE TABLE caller_references (
    reference text NOT NULL,
    source text NOT NULL,
    principal text NOT NULL,
    movement_id uuid NOT NULL,
    PRIMARY KEY (reference, source, principal),
    CONSTRAINT caller_reference_not_too_long CHECK (length(reference) BETWEEN 1 AND 100),
    CONSTRAINT caller_source_not_too_long CHECK (length(source) BETWEEN 1 AND 60)
);

GRANT SELECT, INSERT ON caller_references TO balance_service;
