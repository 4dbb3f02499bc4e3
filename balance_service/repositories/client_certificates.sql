-- insert --
-- A certificate that a service may sign in by.
INSERT INTO client_certificates (client_id, certificate_id, name, created_at)
VALUES (%(client_id)s, %(certificate_id)s, %(name)s, clock_timestamp());

-- all --
-- The certificates of a service, the newest first.
SELECT
    certificate_id,
    name,
    created_at,
    revoked_at,
    used_on
FROM client_certificates
WHERE client_id = %(client_id)s
ORDER BY created_at DESC, certificate_id DESC;

-- find --
-- What a service is bound to of the names of a certificate that it shows.
SELECT
    c.certificate_id,
    p.scopes,
    coalesce(c.used_on >= (clock_timestamp() AT TIME ZONE 'UTC')::date, FALSE) AS used_today
FROM client_certificates AS c
INNER JOIN service_principals AS p ON c.client_id = p.client_id
WHERE
    c.client_id = %(client_id)s
    AND c.name = ANY(%(names)s::text[])
    AND c.revoked_at IS NULL
    AND p.revoked_at IS NULL
ORDER BY c.created_at, c.certificate_id
LIMIT 1;

-- use --
-- On which day a certificate was used last.
UPDATE client_certificates
SET used_on = (clock_timestamp() AT TIME ZONE 'UTC')::date
WHERE client_id = %(client_id)s AND certificate_id = %(certificate_id)s;

-- revoke --
-- Ends a binding, and the tokens that were given for it.
UPDATE client_certificates
SET revoked_at = clock_timestamp()
WHERE
    client_id = %(client_id)s
    AND certificate_id = %(certificate_id)s
    AND revoked_at IS NULL;

-- revoke_all --
-- Ends all bindings of a service.
UPDATE client_certificates
SET revoked_at = clock_timestamp()
WHERE client_id = %(client_id)s AND revoked_at IS NULL;
