"""Which accounts, movements and quotes a caller may read, and which account they mean.

These check the conditions of the table of access (`calls.access`) that depend on data. What is
somebody else's is refused as what does not exist is, so that nobody can probe for ids.
"""

from uuid import UUID

from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, ids
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.principals import Principal, Scope
from balance_service.domain.quotes import Quote
from balance_service.messages import fields
from balance_service.reading.balances import AccountReads
from balance_service.reading.lookups import Lookups
from balance_service.repositories import accounts, journal


def read_id_or_own(principal: Principal, text: str, field: str) -> UUID | None:
    """Reads the id of an account or a user; None where a user leaves it out and means their own.

    Raises:
        InvalidFields: It is no id, or a service left it out.
    """
    if not text and principal.user_id is None:
        raise errors.invalid(field, "is required of services")
    return fields.optional_identifier(text, field)


def check_opened_for(call: Call, user_id: UUID | None) -> None:
    """Lets a caller open an account for themselves; None stands for that.

    Raises:
        PermissionMissing: It is for somebody else, for whom the caller may open none.
    """
    call.prove(Condition.OWNER)
    if user_id not in (None, call.principal.user_id) and not call.unconditional:
        raise errors.PermissionMissing(required=f"role admin or scope {Scope.ACCOUNTS_WRITE}")


def check_readable(
    profile: AccountProfile | None, call: Call, account: UUID | str
) -> AccountProfile:
    """An account that was looked up, if the caller may read it.

    Raises:
        AccountNotFound: There is none, or it is somebody else's.
    """
    call.prove(Condition.OWNER)
    if profile and (call.unconditional or profile.account.owner_id == call.principal.user_id):
        return profile
    raise errors.AccountNotFound(str(account))


def check_owner(call: Call, user_id: UUID | None) -> UUID:
    """Whose accounts are listed: the caller's own, or another's if the caller may read them.

    Raises:
        PermissionMissing: A service has no accounts of its own.
        UserNotFound: They are somebody else's.
    """
    call.prove(Condition.OWNER)
    if user_id is None:
        return call.principal.require_user()
    if user_id != call.principal.user_id and not call.unconditional:
        raise errors.UserNotFound(str(user_id))
    return user_id


async def get_own_accounts(conn: Connection, call: Call) -> list[AccountProfile]:
    """All accounts of a user.

    Raises:
        PermissionMissing: A service has no accounts of its own.
    """
    call.prove(Condition.OWNER)
    owner_id = call.principal.require_user()
    return await accounts.get(conn, await accounts.ids_of_owner(conn, owner_id))


async def get_listed_accounts(
    pool: Pool, reads: AccountReads, call: Call, account_id: UUID | None
) -> list[AccountProfile]:
    """The accounts that a list is about: the named one, or all the caller's own.

    Raises:
        AccountNotFound: There is no such account, or it is somebody else's.
        PermissionMissing: A service has no accounts of its own.
    """
    if account_id:
        return [check_readable(await reads.get(account_id), call, account_id)]
    async with pool.connection() as conn:
        return await get_own_accounts(conn, call)


async def find_own_account(lookups: Lookups, principal: Principal, currency: str) -> UUID:
    """The account of a user who names none: their own in the currency.

    Raises:
        AccountNotFound: The user has none.
    """
    account_id = await lookups.own_accounts.get((principal.require_user(), currency))
    if account_id is None:
        raise errors.AccountNotFound(f"own account in {currency}")
    return account_id


def read_receiver(text: str, field: str = "to_account") -> UUID | None:
    """Reads the id of the receiving account; None if its public number is given instead."""
    if ids.is_account_number(text):
        return None
    try:
        return fields.identifier(text, field)
    except errors.InvalidFields:
        forms = "an account's id, or its number of ten digits, the last of which checks the others"
        rule = f"must be {forms}" if text else f"is required: {forms}"
        raise errors.invalid(field, rule) from None


async def find_receiver(lookups: Lookups, principal: Principal, number: str) -> UUID:
    """The account with a public number, which is ten checked digits.

    Where there is none, a caller who may not read every account gets an id that no account has: the
    ledger refuses that as it does an account that cannot receive, and at the same point, so that
    the answer does not tell which numbers are given out.

    Raises:
        AccountNotFound: There is none, and the caller may know.
    """
    account_id = await lookups.numbered_accounts.get(int(number))
    if account_id is None and principal.reads_all:
        raise errors.AccountNotFound(number)
    return account_id or ids.named_id(f"account number/{number}")


async def get_movement(
    conn: Connection, call: Call, movement_id: UUID, *kinds: Kind
) -> tuple[Movement, bool]:
    """A movement of one of some kinds that the caller may read.

    Returns:
        The movement, and whether the caller sees the balance it left: not as a transfer's receiver.

    Raises:
        MovementNotFound: There is none of these kinds, or it is between other people's accounts.
    """
    call.prove(Condition.PARTY)
    principal = call.principal
    movement = (await journal.movements(conn, [movement_id])).get(movement_id)
    if movement is not None and movement.kind in kinds:
        if call.unconditional:
            return movement, True
        sides = [movement.from_account_id, movement.to_account_id]
        owners = {p.account.account_id: p.account.owner_id for p in await accounts.get(conn, sides)}
        if principal.user_id is not None and principal.user_id in owners.values():
            return movement, owners.get(movement.account_id) == principal.user_id
    raise errors.MovementNotFound(str(movement_id))


async def get_quote(lookups: Lookups, call: Call, quote_id: UUID) -> Quote:
    """A quote that the caller asked for.

    Raises:
        QuoteNotFound: There is none, or it is somebody else's.
    """
    quote = await lookups.quotes.get(quote_id)
    if quote is None:
        raise errors.QuoteNotFound(str(quote_id))
    call.prove(Condition.ASKER)
    quote.check_asker(call.principal.name)
    return quote
