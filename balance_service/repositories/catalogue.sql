-- insert --
-- A new service of the catalogue.
INSERT INTO services
    (service_id, name, description, price_minor, currency, repeatable, created_at, updated_at)
VALUES
    (
        %(service_id)s,
        %(name)s,
        %(description)s,
        %(price_minor)s,
        %(currency)s,
        %(repeatable)s,
        %(now)s,
        %(now)s
    );

-- get --
-- Services by id, also those that have left the catalogue.
SELECT
    -- begin columns --
    service_id,
    name,
    description,
    price_minor,
    currency,
    repeatable,
    version,
    created_at,
    updated_at,
    deleted_at
    -- end columns --
FROM services
WHERE service_id = ANY(%(service_ids)s::uuid[]);

-- lock --
-- One service, for a change.
SELECT
    -- include columns --
FROM services
WHERE service_id = %(service_id)s
FOR NO KEY UPDATE;

-- page --
-- The catalogue, oldest first.
SELECT
    -- include columns --
FROM services
WHERE
    deleted_at IS NULL
    AND (%(after)s::uuid IS NULL OR service_id > %(after)s)
    AND (%(currency)s = '' OR currency = %(currency)s)
ORDER BY service_id
LIMIT %(limit)s OFFSET %(skip)s;

-- count --
-- How many services the catalogue has, on all its pages.
SELECT count(*)
FROM services
WHERE deleted_at IS NULL AND (%(currency)s = '' OR currency = %(currency)s);

-- update --
-- All that can change of a service.
UPDATE services
SET
    name = %(name)s,
    description = %(description)s,
    price_minor = %(price_minor)s,
    currency = %(currency)s,
    repeatable = %(repeatable)s,
    version = %(version)s,
    updated_at = %(updated_at)s,
    deleted_at = %(deleted_at)s
WHERE service_id = %(service_id)s;
