-- find --
-- Whom a source calls so.
SELECT subject_id
FROM external_ids
WHERE external_id = %(external_id)s AND source = %(source)s AND kind = %(kind)s;

-- of_subject --
-- What other systems call a user or an account.
SELECT
    source,
    external_id
FROM subject_external_ids
WHERE subject_id = %(subject_id)s
ORDER BY source;

-- claim --
-- Decides whom a source calls so; the row of whoever was first stays.
INSERT INTO external_ids (external_id, source, kind, subject_id)
VALUES (%(external_id)s, %(source)s, %(kind)s, %(subject_id)s)
ON CONFLICT DO NOTHING;

-- insert --
-- The same, by whom it is for.
INSERT INTO subject_external_ids (subject_id, source, external_id)
VALUES (%(subject_id)s, %(source)s, %(external_id)s);

-- release --
-- Lets others have an external id.
DELETE FROM external_ids
WHERE external_id = %(external_id)s AND source = %(source)s AND kind = %(kind)s;

-- delete --
-- The same, by whom it was for.
DELETE FROM subject_external_ids
WHERE subject_id = %(subject_id)s AND source = %(source)s;
