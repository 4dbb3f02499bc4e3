-- ensure --
-- An exporter, which begins at a place unless it has one already.
INSERT INTO event_exporters (name, place_sequence, place_event_id, leased_until)
VALUES (%(name)s, %(sequence)s, %(event_id)s, clock_timestamp())
ON CONFLICT (name) DO NOTHING;

-- lease --
-- Where an exporter goes on, unless another process does.
UPDATE event_exporters
SET lease = %(lease)s, leased_until = clock_timestamp() + %(life)s::interval
WHERE name = %(name)s AND (lease = %(lease)s OR leased_until <= clock_timestamp())
RETURNING
    place_sequence,
    place_event_id;

-- advance --
-- How far an exporter has come, whose lease goes on.
UPDATE event_exporters
SET
    place_sequence = %(sequence)s,
    place_event_id = %(event_id)s,
    leased_until = clock_timestamp() + %(life)s::interval
WHERE name = %(name)s AND lease = %(lease)s;

-- release --
-- Lets another process go on.
UPDATE event_exporters
SET lease = NULL, leased_until = clock_timestamp()
WHERE name = %(name)s AND lease = %(lease)s;
