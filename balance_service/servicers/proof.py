"""ProofService: receipts for movements, the checkpoints that they lead to, and verification."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

from balance_service._generated.balance.v1 import proof_pb2
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors, merkle
from balance_service.domain.checkpoints import Proved, Signed
from balance_service.domain.movements import Movement
from balance_service.domain.statements import Basis
from balance_service.messages import fields, proof_messages
from balance_service.messages.page_tokens import PageTokens
from balance_service.reading.verification import Verified, Verifier
from balance_service.repositories import (
    accounts,
    checkpoints,
    horizon,
    journal,
    leaves,
    signing_keys,
)

LATEST = "latest"


class ProofServicer:
    """Proves what the ledger holds.

    Args:
        pool: Where it is.
        interval: How long it takes until a checkpoint covers what is new.
        page_tokens: Signs where a list goes on.
        verifier: Verifies the ledger.
    """

    service = proof_pb2.DESCRIPTOR.services_by_name["ProofService"]

    def __init__(
        self, pool: Pool, interval: timedelta, page_tokens: PageTokens, verifier: Verifier
    ) -> None:
        self._pool = pool
        self._interval = interval
        self._page_tokens = page_tokens
        self._verifier = verifier

    async def GetReceipt(
        self, request: proof_pb2.GetReceiptRequest, call: Call
    ) -> proof_pb2.Receipt:
        checks = fields.Checks()
        movement_id = checks(fields.identifier, request.movement, "movement")
        account_id = checks(fields.optional_identifier, request.account, "account")
        checks.finish()

        async with transaction(self._pool) as conn:
            movement, received = await _find_side(conn, call, movement_id, account_id)
            proved = await leaves.find(conn, movement_id)
            if proved is None:
                raise errors.ReceiptNotReady(
                    str(movement_id), retry_after_seconds=int(self._interval.total_seconds())
                )
            if kept := await horizon.read(conn):
                # Without its entries, another leaf was made than the one that is covered.
                kept.check(movement.created_at, Basis.BOOKING_DATE)
            signed = await checkpoints.find(conn, proved.number)
            assert signed is not None, "what a checkpoint covers goes by its number"
            (checkpoint,) = await _show(conn, [signed])

        return _receipt(proved, checkpoint, received=received)

    async def GetCheckpoint(
        self, request: proof_pb2.GetCheckpointRequest, _call: Call
    ) -> proof_pb2.Checkpoint:
        wanted = fields.text(request, "checkpoint")
        if wanted != LATEST and not (wanted.isascii() and wanted.isdigit() and wanted[0] != "0"):
            raise errors.invalid("checkpoint", f'must be a number from 1, or "{LATEST}"')

        async with self._pool.connection() as conn:
            signed = await checkpoints.find(conn, None if wanted == LATEST else int(wanted))
            if signed is None:
                raise errors.CheckpointNotFound(wanted)
            return (await _show(conn, [signed]))[0]

    async def ListCheckpoints(
        self, request: proof_pb2.ListCheckpointsRequest, call: Call
    ) -> proof_pb2.ListCheckpointsResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        oldest_first = checks(fields.oldest_first, request.order_by)
        checks.finish()

        query = (oldest_first,)
        place = self._page_tokens.read(query, call, request.page_token)
        after = int.from_bytes(place, "big") if place else None
        async with transaction(self._pool) as conn:
            listed = await checkpoints.page(conn, after, size + 1, skip, oldest_first=oldest_first)
            shown = await _show(conn, listed[:size])
            # They are numbered from 1 without gaps.
            head = await checkpoints.find(conn) if request.count_total else None

        answer = proof_pb2.ListCheckpointsResponse(
            checkpoints=shown, total_size=head.checkpoint.number if head else 0
        )
        if len(listed) > size:
            last = listed[size - 1].checkpoint.number
            answer.next_page_token = self._page_tokens.write(query, call, last.to_bytes(8, "big"))
        return answer

    async def VerifyLedger(
        self, request: proof_pb2.VerifyLedgerRequest, call: Call
    ) -> AsyncIterator[proof_pb2.VerifyLedgerResponse]:
        mode = _read_mode(request.mode)
        full = mode == proof_pb2.VERIFICATION_MODE_FULL
        async with contextlib.aclosing(self._verifier.run(call.actor, full=full)) as run:
            async for told in run:
                if isinstance(told, Verified):
                    yield proof_messages.summary(told, mode)
                elif told.check:
                    yield proof_messages.step(told)


async def _find_side(
    conn: Connection, call: Call, movement_id: UUID, account_id: UUID | None
) -> tuple[Movement, bool]:
    """A movement, and which side the caller is shown: whether it is the one that money reached.

    Raises:
        MovementNotFound: There is no such movement, or it is between other people's accounts.
        AccountNotFound: It has no entry on the account, or that is somebody else's.
    """
    call.prove(Condition.PARTY)
    movement = (await journal.movements(conn, [movement_id])).get(movement_id)
    sides = movement.user_sides() if movement else {}
    owner_id = call.principal.user_id
    own = {
        profile.account.account_id
        for profile in await accounts.get(conn, list(sides))
        if owner_id is not None and profile.account.owner_id == owner_id
    }
    shown = [*(own or (sides if call.unconditional else ()))]
    if movement is None or not shown:
        raise errors.MovementNotFound(str(movement_id))
    if account_id is None:
        return movement, min(sides[each] for each in shown)
    if account_id not in (sides if call.unconditional else own):
        raise errors.AccountNotFound(str(account_id))
    return movement, sides[account_id]


async def _show(conn: Connection, listed: Sequence[Signed]) -> list[proof_pb2.Checkpoint]:
    used = {signed.key_id for signed in listed}
    public_keys = {key_id: await signing_keys.public_key(conn, key_id) for key_id in used}
    return [proof_messages.checkpoint(signed, public_keys[signed.key_id]) for signed in listed]


def _read_mode(value: int) -> proof_pb2.VerificationMode.ValueType:
    if value not in proof_pb2.VerificationMode.values():
        raise errors.invalid("mode", "must be a known mode")
    if value == proof_pb2.VERIFICATION_MODE_FULL:
        return proof_pb2.VERIFICATION_MODE_FULL
    return proof_pb2.VERIFICATION_MODE_INCREMENTAL


def _receipt(
    proved: Proved, checkpoint: proof_pb2.Checkpoint, *, received: bool
) -> proof_pb2.Receipt:
    return proof_pb2.Receipt(
        movement=proved.movement,
        entry=(proved.to_side if received else proved.from_side) or "",
        received=received,
        salt=proved.salts[received].hex(),
        other_side=proved.side_hash(received=not received).hex(),
        place=proved.place,
        path=[each.hex() for each in merkle.path(proved.leaves, proved.place)],
        checkpoint=checkpoint,
    )
