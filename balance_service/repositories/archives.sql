-- window --
-- From when on entries are in the database, and until when: for ever.
SELECT
    'infinity' AS until,
    coalesce(max(a.ends_at)::text, '-infinity') AS since
FROM archives AS a;

-- horizon --
-- Before when entries are in files, and the latest value date among them.
SELECT
    max(a.ends_at) AS ends_at,
    max(a.values_end_at) AS values_end_at
FROM archives AS a;

-- every --
-- Every period that is in files, the oldest first.
SELECT
    a.starts_at,
    a.ends_at,
    a.values_end_at,
    a.entries,
    a.entries_minor,
    a.entries_bytes,
    a.entries_sha256,
    a.system_entries,
    a.system_entries_minor,
    a.system_entries_bytes,
    a.system_entries_sha256,
    a.last_checkpoint,
    a.archived_at
FROM archives AS a
ORDER BY a.ends_at;

-- brought_forward --
-- What accounts brought forward; no row for those without an entry in files.
SELECT
    b.account_id,
    b.sequence,
    b.balance_minor,
    b.created_at
FROM brought_forward AS b
WHERE b.account_id = ANY(%(account_ids)s);
