"""Which accounts a caller may read, and which they mean."""

from uuid import UUID

from balance_service.database.pool import Connection
from balance_service.domain import errors, ids
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.principals import Principal
from balance_service.messages import fields
from balance_service.repositories import accounts, journal


async def readable(conn: Connection, principal: Principal, account_id: UUID) -> AccountProfile:
    """An account that the caller may read.

    Raises:
        AccountNotFound: There is none, or it is somebody else's, which is not told apart.
    """
    found = await accounts.get(conn, [account_id])
    return visible(found[0] if found else None, principal, account_id)


def visible(found: AccountProfile | None, principal: Principal, account_id: UUID) -> AccountProfile:
    """An account that was looked for, if the caller may read it; raises as `readable`."""
    if found and (principal.reads_all or found.account.owner_id == principal.user_id):
        return found
    raise errors.AccountNotFound(str(account_id))


def named(principal: Principal, text: str, field: str) -> UUID | None:
    """The id that a request names; None where a user leaves it out and means their own.

    Raises:
        InvalidFields: It is no id, or a service named none.
    """
    if not text and principal.user_id is None:
        raise errors.invalid(field, "is required of services")
    return fields.optional_identifier(text, field)


async def listed(
    conn: Connection, principal: Principal, account_id: UUID | None
) -> list[AccountProfile]:
    """The accounts that a list is about: the named one, or all the caller's own.

    Raises:
        AccountNotFound: As `readable`.
    """
    if account_id:
        return [await readable(conn, principal, account_id)]
    owner_id = principal.require_user()
    return await accounts.get(conn, await accounts.ids_of_owner(conn, owner_id))


async def own(conn: Connection, principal: Principal, currency: str) -> UUID:
    """The account that a user means who names none: their own in the currency.

    Raises:
        AccountNotFound: The user has none.
    """
    account_id = await accounts.find_id(conn, principal.require_user(), currency)
    if account_id is None:
        raise errors.AccountNotFound(f"own account in {currency}")
    return account_id


async def receiver(conn: Connection, principal: Principal, number: str) -> UUID:
    """The account with a public number, which is ten checked digits.

    Where there is none, a caller who may not read every account gets an id that is no account's:
    the ledger then refuses it as it does an account that cannot receive, and no earlier.

    Raises:
        AccountNotFound: There is none, and the caller may know.
    """
    found = await accounts.id_of_number(conn, int(number))
    if found is None and principal.reads_all:
        raise errors.AccountNotFound(number)
    return found or ids.named_id(f"account number/{number}")


async def readable_movement(
    conn: Connection, principal: Principal, movement_id: UUID, kind: Kind
) -> tuple[Movement, bool]:
    """A movement that the caller may read.

    Returns:
        The movement, and whether the caller sees the balance it left: not as a transfer's receiver.

    Raises:
        MovementNotFound: There is none of this kind, or it is between other people's accounts.
    """
    movement = (await journal.movements(conn, [movement_id])).get(movement_id)
    if movement is not None and movement.kind == kind:
        if principal.reads_all:
            return movement, True
        sides = [movement.from_account_id, movement.to_account_id]
        owners = {p.account.account_id: p.account.owner_id for p in await accounts.get(conn, sides)}
        if principal.user_id is not None and principal.user_id in owners.values():
            return movement, owners.get(movement.account_id) == principal.user_id
    raise errors.MovementNotFound(str(movement_id))
