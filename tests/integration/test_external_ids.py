"""External ids over random histories: what a dictionary would say, and both tables agree."""

import asyncio
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balance_service.domain import errors
from balance_service.domain.external_ids import ExternalId, Subject
from balance_service.repositories import external_ids

SUBJECTS = [
    (kind, UUID(int=number))
    for number, kind in enumerate([Subject.USER, Subject.USER, Subject.ACCOUNT, Subject.ACCOUNT])
]
CHANGES = st.tuples(
    st.sampled_from(SUBJECTS),
    st.sampled_from(["service:crm", "service:erp"]),
    st.sampled_from(["", "1", "2", "я", "1 "]),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CHANGES, max_size=12))
def test_one_subject_has_an_external_id_and_each_has_one_of_a_source(
    database_url: str, changes: list[tuple[tuple[Subject, UUID], str, str]]
) -> None:
    asyncio.run(compare(database_url, changes))


async def compare(database_url: str, changes: list[tuple[tuple[Subject, UUID], str, str]]) -> None:
    async with (
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn,
        conn.transaction(force_rollback=True),
    ):
        held = await change(conn, changes)
        for kind, source, text in held:
            found = await external_ids.find(conn, kind, ExternalId(source, text))
            assert found == held[kind, source, text]
        for kind, subject_id in SUBJECTS:
            assert await external_ids.of_subject(conn, subject_id) == {
                source: text for (_, source, text), owner in held.items() if owner == subject_id
            }
            for text in ("1", "2", "я", "1 "):
                if (kind, "service:crm", text) not in held:
                    missing = ExternalId("service:crm", text)
                    assert await external_ids.find(conn, kind, missing) is None


async def change(
    conn: psycopg.AsyncConnection, changes: list[tuple[tuple[Subject, UUID], str, str]]
) -> dict[tuple[Subject, str, str], UUID]:
    """Makes changes; who has which external id after them, by what a dictionary says."""
    held: dict[tuple[Subject, str, str], UUID] = {}
    for (kind, subject_id), source, text in changes:
        taken = bool(text) and held.get((kind, source, text), subject_id) != subject_id
        try:
            async with conn.transaction():
                await external_ids.replace(conn, kind, subject_id, ExternalId(source, text))
        except errors.ExternalIdConflict:
            assert taken
            continue
        assert not taken
        held = {k: v for k, v in held.items() if (*k[:2], v) != (kind, source, subject_id)}
        if text:
            held[kind, source, text] = subject_id
    return held
