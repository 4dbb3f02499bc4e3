-- create_if_new --
-- The first sign of an address creates its user; without one, every call does.
INSERT INTO users (user_id, email, username, first_name, last_name, created_at, updated_at)
VALUES (
    %(user_id)s,
    nullif(%(email)s, ''),
    %(username)s,
    %(first_name)s,
    %(last_name)s,
    %(now)s,
    %(now)s
)
ON CONFLICT (email) DO NOTHING;

-- find_by_email --
-- The user with an address.
SELECT
    -- begin columns --
    user_id,
    username,
    first_name,
    last_name,
    bio,
    role,
    version,
    created_at,
    updated_at,
    second_factor,
    disabled_at,
    erased_at,
    coalesce(email, '') AS email
    -- end columns --
FROM users
WHERE email = %(email)s;

-- find_by_username --
-- The user with a username, regardless of case.
SELECT
    -- include columns --
FROM users
WHERE lower(username) = lower(%(username)s);

-- find_by_external_id --
-- The user whom a source calls so.
SELECT
    -- include columns --
FROM users
WHERE user_id = (
    SELECT e.subject_id
    FROM external_ids AS e
    WHERE e.external_id = %(external_id)s AND e.source = %(source)s AND e.kind = %(kind)s
);

-- get --
-- One user.
SELECT
    -- include columns --
FROM users
WHERE user_id = %(user_id)s;

-- lock --
-- One user, for a change.
SELECT
    -- include columns --
FROM users
WHERE user_id = %(user_id)s
FOR NO KEY UPDATE;

-- hold --
-- One user, kept from being changed.
SELECT
    -- include columns --
FROM users
WHERE user_id = %(user_id)s
FOR SHARE;

-- page --
-- Users by username, regardless of case.
SELECT
    -- include columns --
FROM (
    SELECT *
    FROM users
    WHERE lower(username) > %(after)s
    ORDER BY lower(username)
    LIMIT %(reach)s
) AS users
WHERE
    lower(username) > %(after)s
    -- begin filter --
    AND (%(search)s = '' OR strpos(lower(username), lower(%(search)s)) > 0)
    AND (%(email)s = '' OR strpos(email, lower(%(email)s)) > 0)
    AND (%(name)s = '' OR strpos(lower(first_name || ' ' || last_name), lower(%(name)s)) > 0)
    AND (%(role)s::smallint IS NULL OR role = %(role)s)
    AND (%(disabled)s::boolean IS NULL OR (disabled_at IS NOT NULL) = %(disabled)s)
    -- end filter --
ORDER BY lower(username)
LIMIT %(limit)s OFFSET %(skip)s;

-- end_of_reach --
-- The last username that a page looked at, if others may follow.
SELECT lower(username)
FROM users
WHERE lower(username) > %(after)s
ORDER BY lower(username)
LIMIT 1 OFFSET %(reach)s - 1;

-- with_external_id --
-- The user whom a source calls so, if they pass the filter.
SELECT
    -- include columns --
FROM users
WHERE
    user_id = (
        SELECT e.subject_id
        FROM external_ids AS e
        WHERE e.external_id = %(external_id)s AND e.source = %(source)s AND e.kind = %(kind)s
    )
    -- include filter --
LIMIT 1;

-- count --
-- How many users a list has, on all its pages.
SELECT count(*)
FROM (
    SELECT user_id
    FROM users
    WHERE
        lower(username) > ''
        -- include filter --
) AS kept;

-- update --
-- All that can change of a user.
UPDATE users
SET
    email = nullif(%(email)s, ''),
    username = %(username)s,
    first_name = %(first_name)s,
    last_name = %(last_name)s,
    bio = %(bio)s,
    role = %(role)s,
    version = %(version)s,
    disabled_at = %(disabled_at)s,
    second_factor = %(second_factor)s,
    erased_at = %(erased_at)s,
    updated_at = %(updated_at)s
WHERE user_id = %(user_id)s;

-- set_second_factor --
-- Whether a user has a second factor.
UPDATE users
SET
    second_factor = %(enrolled)s,
    version = version + 1,
    updated_at = %(now)s
WHERE user_id = %(user_id)s;
