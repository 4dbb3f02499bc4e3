-- external_id_has_subject --
-- As on one server; what owners lead to stands for the accounts, as owner_has_account proves.
SELECT
    (coalesce(e.source, s.source), coalesce(e.external_id, s.external_id))::text AS subject,
    coalesce(e.subject_id::text, 'none') AS stored,
    coalesce(s.subject_id::text, 'none') AS computed
FROM external_ids AS e
FULL JOIN subject_external_ids AS s
    ON
        e.subject_id = s.subject_id
        AND e.source = s.source
        AND e.external_id = s.external_id
LEFT JOIN users AS u ON e.kind = 1 AND e.subject_id = u.user_id
LEFT JOIN account_owners AS a ON e.kind = 2 AND e.subject_id = a.account_id
WHERE
    e.subject_id IS NULL
    OR s.subject_id IS NULL
    OR (u.user_id IS NULL AND a.account_id IS NULL)
LIMIT %(limit)s;
