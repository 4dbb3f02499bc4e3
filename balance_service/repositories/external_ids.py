"""External ids: two tables that say the same, one by the id and one by whom it is for."""

from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain import errors
from balance_service.domain.external_ids import ExternalId, Subject
from balance_service.repositories import queries

_SQL = queries.load(__file__)


async def find(conn: AsyncConnection, kind: Subject, external_id: ExternalId) -> UUID | None:
    """The user or account that a source calls so, if any."""
    cursor = await conn.execute(_SQL["find"], _values(kind, external_id))
    row = await cursor.fetchone()
    return row[0] if row else None


async def of_subject(conn: AsyncConnection, subject_id: UUID) -> dict[str, str]:
    """What other systems call a user or an account, by source."""
    cursor = await conn.execute(_SQL["of_subject"], {"subject_id": subject_id})
    return dict(await cursor.fetchall())


async def add(
    conn: AsyncConnection, kind: Subject, subject_id: UUID, external_id: ExternalId
) -> bool:
    """Gives a locked user or account, which has none of the source, an external id.

    Returns:
        Whether it was free.
    """
    values = _values(kind, external_id) | {"subject_id": subject_id}
    if not (await conn.execute(_SQL["claim"], values)).rowcount:
        return False
    await conn.execute(_SQL["insert"], values)
    return True


async def replace(
    conn: AsyncConnection, kind: Subject, subject_id: UUID, external_id: ExternalId
) -> str:
    """Gives a locked user or account an external id in place of the source's last one.

    Args:
        conn: A connection within a transaction.
        kind: What the subject is.
        subject_id: The user or the account.
        external_id: The new one; an empty text for none.

    Returns:
        The last one; empty if there was none.

    Raises:
        ExternalIdConflict: Another user or account has it.
    """
    source, text = external_id
    before = (await of_subject(conn, subject_id)).get(source, "")
    if before == text:
        return before
    if before:
        values = _values(kind, ExternalId(source, before)) | {"subject_id": subject_id}
        await conn.execute(_SQL["release"], values)
        await conn.execute(_SQL["delete"], values)
    if text and not await add(conn, kind, subject_id, external_id):
        raise errors.ExternalIdConflict(source, text)
    return before


def _values(kind: Subject, external_id: ExternalId) -> dict[str, object]:
    return {"kind": kind, "source": external_id.source, "external_id": external_id.text}
