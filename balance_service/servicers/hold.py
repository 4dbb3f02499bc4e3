"""HoldService: money reserved for a movement that is to come."""

from balance_service._generated.balance.v1 import hold_pb2
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.holds import HoldStatus
from balance_service.domain.movements import Kind
from balance_service.messages import account_access, convert, fields, page_bytes, time_places
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.listing import movement_texts
from balance_service.messages.page_tokens import PageTokens
from balance_service.messages.submission import Submission
from balance_service.reading.balances import AccountReads
from balance_service.repositories import holds, journal


class HoldServicer:
    """Holds money, captures it and gives it back.

    Args:
        pool: For what is not gathered.
        accounts: Reads the accounts of many callers at once.
        submission: Takes commands to the ledger.
        page_tokens: Signs where a list goes on.
        instructions: How holds are asked for, captured and voided.
    """

    service = hold_pb2.DESCRIPTOR.services_by_name["HoldService"]

    def __init__(
        self,
        pool: Pool,
        accounts: AccountReads,
        submission: Submission,
        page_tokens: PageTokens,
        instructions: AllInstructions,
    ) -> None:
        self._pool = pool
        self._accounts = accounts
        self._submission = submission
        self._page_tokens = page_tokens
        self._instructions = instructions

    async def CreateHold(self, request: hold_pb2.CreateHoldRequest, call: Call) -> hold_pb2.Hold:
        return await self._submission.carry_out(self._instructions.create_hold, request, call)

    async def CaptureHold(
        self, request: hold_pb2.CaptureHoldRequest, call: Call
    ) -> hold_pb2.Capture:
        return await self._submission.carry_out(self._instructions.capture_hold, request, call)

    async def VoidHold(self, request: hold_pb2.VoidHoldRequest, call: Call) -> hold_pb2.Hold:
        return await self._submission.carry_out(self._instructions.void_hold, request, call)

    async def GetHold(self, request: hold_pb2.GetHoldRequest, call: Call) -> hold_pb2.Hold:
        hold_id = fields.identifier(request.hold, "hold")

        async with self._pool.connection() as conn:
            try:
                placed, for_payer = await account_access.get_movement(
                    conn, call, hold_id, Kind.HOLD
                )
            except errors.MovementNotFound:
                raise errors.HoldNotFound(str(hold_id)) from None
            left = await holds.get(conn, placed.from_account_id, hold_id)
            captured = await journal.followed(conn, placed)
        call.prove(Condition.OWNER)
        if left is None or not for_payer:
            raise errors.HoldNotFound(str(hold_id))
        return convert.hold(placed, left, captured.movement_ids)

    async def ListHolds(
        self, request: hold_pb2.ListHoldsRequest, call: Call
    ) -> hold_pb2.ListHoldsResponse:
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        status = checks(_read_status, request.status)
        checks.finish()

        query = (account_id, status)
        place = self._page_tokens.read(query, call, request.page_token)
        after = holds.Place(*time_places.read(place)) if place else None
        profiles = await account_access.get_listed_accounts(
            self._pool, self._accounts, call, account_id
        )
        account_ids = [profile.account.account_id for profile in profiles]
        async with self._pool.connection() as conn:
            listed = await holds.page(conn, account_ids, status, after, size + 1, skip)
            total = await holds.count(conn, account_ids, status) if request.count_total else 0
            placed = await journal.movements(conn, [left.hold_id for left in listed[:size]])
        shown = page_bytes.fit(listed[:size], lambda left: movement_texts(placed[left.hold_id]))
        answer = hold_pb2.ListHoldsResponse(
            holds=[convert.hold(placed[left.hold_id], left) for left in shown], total_size=total
        )
        if len(listed) > len(shown):
            place = time_places.write(shown[-1].created_at, shown[-1].hold_id)
            answer.next_page_token = self._page_tokens.write(query, call, place)
        return answer


def _read_status(value: int) -> HoldStatus | None:
    try:
        return HoldStatus(value) if value else None
    except ValueError:
        raise errors.invalid("status", "must be a known status of a hold") from None
