-- claim --
-- Takes a request id; waits for a call in flight that has it.
INSERT INTO idempotency_keys (principal, request_id, method, request, created_at)
VALUES (%(principal)s, %(request_id)s, %(method)s, %(request)s, %(now)s)
ON CONFLICT (principal, request_id) DO NOTHING;

-- find --
-- What a request id was used for.
SELECT
method,
request,
answer
FROM idempotency_keys
WHERE principal = %(principal)s AND request_id = %(request_id)s;

-- answer --
-- The answer to a request, for whoever asks again.
UPDATE idempotency_keys
SET answer = %(answer)s
WHERE principal = %(principal)s AND request_id = %(request_id)s;

-- forget --
-- What one principal asked and was answered.
DELETE FROM idempotency_keys
WHERE principal = %(principal)s;
