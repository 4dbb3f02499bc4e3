-- create_if_new --
-- The first sign of an address creates its user.
INSERT INTO users (user_id, email, username, created_at, updated_at)
VALUES (%(user_id)s, %(email)s, %(username)s, %(now)s, %(now)s)
ON CONFLICT (email) DO NOTHING;

-- find_by_email --
-- The user with an address.
SELECT
    -- begin columns --
    user_id,
    email,
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
    erased_at
    -- end columns --
FROM users
WHERE email = %(email)s;

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
FROM users
WHERE
    lower(username) > %(after)s
    AND (%(search)s = '' OR strpos(lower(username), lower(%(search)s)) > 0)
ORDER BY lower(username)
LIMIT %(limit)s OFFSET %(skip)s;

-- count --
-- How many users a list has, on all its pages.
SELECT count(*)
FROM users
WHERE %(search)s = '' OR strpos(lower(username), lower(%(search)s)) > 0;

-- update --
-- All that can change of a user.
UPDATE users
SET
    email = %(email)s,
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
