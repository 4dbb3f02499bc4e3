"""Which schedules a caller may read and change, and what they may have scheduled.

What is somebody else's is refused as what does not exist is.
"""

from uuid import UUID

from balance_service._generated.balance.v1 import schedule_pb2, transfer_pb2
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Connection
from balance_service.domain import errors
from balance_service.domain.principals import Principal
from balance_service.domain.schedules import Schedule
from balance_service.messages import schedule_requests
from balance_service.messages.schedule_requests import Movement
from balance_service.repositories import accounts, catalogue
from balance_service.repositories import schedules as repository


async def get_readable(conn: Connection, call: Call, schedule_id: UUID) -> Schedule:
    """A schedule that the caller may read.

    Raises:
        ScheduleNotFound: There is none, or it is somebody else's.
    """
    call.prove(Condition.MAKER_OR_OWNER)
    schedule = await repository.get(conn, schedule_id)
    if schedule is None:
        raise errors.ScheduleNotFound(str(schedule_id))
    if call.unconditional or call.principal.name == schedule.principal:
        return schedule
    if await _owns(conn, call.principal, schedule.account_id):
        return schedule
    raise errors.ScheduleNotFound(str(schedule_id))


async def lock_made(conn: Connection, call: Call, schedule_id: UUID) -> Schedule:
    """A locked schedule that the caller may change.

    Raises:
        ScheduleNotFound: There is none, or it is somebody else's.
        PermissionMissing: The caller may read it alone.
    """
    schedule = await repository.lock(conn, schedule_id)
    principal = call.principal
    if schedule is None:
        raise errors.ScheduleNotFound(str(schedule_id))
    if call.unconditional or principal.name == schedule.principal:
        return schedule
    if principal.reads_all or await _owns(conn, principal, schedule.account_id):
        raise errors.PermissionMissing(required="who made the schedule")
    raise errors.ScheduleNotFound(str(schedule_id))


async def _owns(conn: Connection, principal: Principal, account_id: UUID) -> bool:
    profiles = await accounts.get(conn, [account_id]) if principal.user_id else []
    return any(profile.account.owner_id == principal.user_id for profile in profiles)


async def check_listed(
    conn: Connection, call: Call, account_id: UUID | None, named: str
) -> str | None:
    """Whose schedules are listed; None for everybody's.

    Raises:
        AccountNotFound: The account is somebody else's, as far as the caller may know.
        PermissionMissing: The caller may list their own alone.
    """
    call.prove(Condition.MAKER_OR_OWNER)
    principal = call.principal
    if account_id and not call.unconditional and not await _owns(conn, principal, account_id):
        raise errors.AccountNotFound(str(account_id))
    if account_id:
        return None if named in ("", "*") else named
    if named not in ("", principal.name) and not call.unconditional:
        raise errors.PermissionMissing(required="role moderator or scope accounts:read")
    return None if named == "*" else named or principal.name


async def resolve(conn: Connection, movement: Movement, principal: Principal) -> tuple[UUID, bytes]:
    """The account that pays, and the request with its id.

    Raises:
        AccountNotFound: There is none, or it is not the caller's.
        SameAccount: It would receive the money, too.
        CurrencyMismatch: It has another currency than the transfer.
    """
    wanted = movement.account_id
    found = [wanted] if wanted else await accounts.ids_of_owner(conn, principal.require_user())
    payer = next(
        (
            account
            for account, *_ in await accounts.get(conn, found)
            if principal.user_id in (None, account.owner_id)
            and (wanted or account.currency == movement.currency)
        ),
        None,
    )
    if payer is None:
        raise errors.AccountNotFound(str(wanted or f"own account in {movement.currency}"))
    request = schedule_requests.MESSAGES[movement.kind].FromString(movement.request)
    if isinstance(request, transfer_pb2.CreateTransferRequest):
        request.from_account = str(payer.account_id)
        if request.to_account == request.from_account:
            raise errors.SameAccount(request.to_account)
        if payer.currency != movement.currency:
            told = str(payer.account_id), payer.currency, movement.currency
            raise errors.CurrencyMismatch(*told)
    else:
        request.account = str(payer.account_id)
    return payer.account_id, request.SerializeToString(deterministic=True)


async def check_sold(
    conn: Connection, movement: Movement, sent: schedule_pb2.Schedule, *, recurring: bool
) -> None:
    """Checks that a service can be bought as often and as many at once as is asked for.

    Raises:
        ServiceNotFound: It is not for sale.
        InvalidFields: An account buys it once.
    """
    assert movement.service_id, "of a purchase"
    service = (await catalogue.get(conn, [movement.service_id])).get(movement.service_id)
    if service is None or service.deleted_at:
        raise errors.ServiceNotFound(str(movement.service_id))
    if service.repeatable:
        return
    if recurring:
        rule = "must be empty: an account buys this service once"
        raise errors.invalid("schedule.recurrence_rule", rule)
    if sent.create_purchase.quantity > 1:
        field = "schedule.create_purchase.quantity"
        raise errors.invalid(field, "must be 1: an account buys this service once")
