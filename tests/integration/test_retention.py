"""What nobody can use any more is deleted, a few rows at a time, and nothing besides."""

import psycopg
import pytest

from balance_service.repositories import retention
from tests.service import Service

# Rows that are old, and one that is not, of each table.
FILL = """
INSERT INTO idempotency_keys (principal, request_id, method, request, created_at)
SELECT 'service:x', gen_random_uuid(), 'M', '', now() - make_interval(days => n * 8)
FROM generate_series(0, 5) AS n;
INSERT INTO verifications
    (verification_hash, email, code_hash, asker, asker_known, created_at, expires_at)
SELECT sha256(n::text::bytea), 'a@b.cd', sha256(n::text::bytea), '', false,
    now() - make_interval(days => n), now() + interval '1 hour' - make_interval(days => n)
FROM generate_series(0, 5) AS n;
INSERT INTO sign_in_quotas (key, full_at)
SELECT sha256(n::text::bytea), now() + interval '1 hour' - make_interval(days => n)
FROM generate_series(0, 5) AS n;
INSERT INTO known_askers (asker, seen_at)
SELECT sha256(n::text::bytea), now() - make_interval(days => n * 91)
FROM generate_series(0, 5) AS n;
INSERT INTO confirmation_codes (email, code_hash, expires_at, sent_at, counted_since)
SELECT n || '@b.cd', '', now() - make_interval(days => n * 3), now() - make_interval(days => n * 3),
    now()
FROM generate_series(0, 5) AS n;
INSERT INTO sessions (session_id, user_id, created_at, expires_at)
SELECT gen_random_uuid(), gen_random_uuid(), now(), now() - make_interval(days => n * 3)
FROM generate_series(0, 5) AS n;
INSERT INTO refresh_tokens (token_hash, session_id, expires_at)
SELECT sha256(n::text::bytea), gen_random_uuid(), now() - make_interval(days => n * 3)
FROM generate_series(0, 5) AS n;
"""
TABLES = (*retention.BY_TIME, *retention.BY_KEY)


@pytest.mark.usefixtures("within")
async def test_old_rows_are_deleted_a_few_at_a_time(
    service: Service, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE_MAX", 2)

    def count() -> dict[str, int]:
        with psycopg.connect(database_url) as conn:
            rows = {t: conn.execute(f"SELECT count(*) FROM {t}".encode()) for t in TABLES}
            return {table: (cursor.fetchone() or (0,))[0] for table, cursor in rows.items()}

    with psycopg.connect(database_url) as conn:
        conn.execute(FILL)
    assert count() == dict.fromkeys(TABLES, 6)
    with psycopg.connect(database_url) as conn:
        # Held by somebody, and so left for the next time.
        conn.execute("SELECT FROM sign_in_quotas WHERE full_at < now() - interval '4 d' FOR UPDATE")
        await service.app.maintenance.delete_expired()
        assert count() == {**dict.fromkeys(TABLES, 1), "sign_in_quotas": 2}
    await service.app.maintenance.delete_expired()
    assert count() == dict.fromkeys(TABLES, 1)
