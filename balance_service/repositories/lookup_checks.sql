-- external_id_has_subject --
-- External ids that lead to no user or account, or of which one of the two tables knows nothing.
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
LEFT JOIN accounts AS a ON e.kind = 2 AND e.subject_id = a.account_id
WHERE
    e.subject_id IS NULL
    OR s.subject_id IS NULL
    OR (u.user_id IS NULL AND a.account_id IS NULL)
LIMIT %(limit)s;

-- label_has_movement --
-- Labels that are not in the metadata of their movements.
SELECT
    l.movement_id::text AS subject,
    (l.key, l.value, l.created_at)::text AS stored,
    (m.metadata, m.created_at)::text AS computed
FROM movement_labels AS l
LEFT JOIN movements AS m ON l.movement_id = m.movement_id
WHERE (m.metadata ->> l.key, m.created_at) IS DISTINCT FROM (l.value, l.created_at)
LIMIT %(limit)s;
