"""ProofService: receipts for movements, and the checkpoints that they lead to."""

from datetime import timedelta
from uuid import UUID

from balance_service._generated.balance.v1 import proof_pb2
from balance_service.auth import keys
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors, merkle
from balance_service.domain.checkpoints import Proved, Signed
from balance_service.messages import fields
from balance_service.repositories import accounts, checkpoints, journal, leaves, signing_keys

LATEST = "latest"


class ProofServicer:
    """Proves what the ledger holds.

    Args:
        pool: Where it is.
        interval: How long it takes until a checkpoint covers what is new.
    """

    service = proof_pb2.DESCRIPTOR.services_by_name["ProofService"]

    def __init__(self, pool: Pool, interval: timedelta) -> None:
        self._pool = pool
        self._interval = interval

    async def GetReceipt(
        self, request: proof_pb2.GetReceiptRequest, call: Call
    ) -> proof_pb2.Receipt:
        checks = fields.Checks()
        movement_id = checks(fields.identifier, request.movement, "movement")
        account_id = checks(fields.optional_identifier, request.account, "account")
        checks.finish()

        async with transaction(self._pool) as conn:
            received = await _find_side(conn, call, movement_id, account_id)
            proved = await leaves.find(conn, movement_id)
            if proved is None:
                raise errors.ReceiptNotReady(
                    str(movement_id), retry_after_seconds=int(self._interval.total_seconds())
                )
            signed = await checkpoints.find(conn, proved.number)
            assert signed is not None, "what a checkpoint covers goes by its number"
            checkpoint = await _checkpoint(conn, signed)

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
            return await _checkpoint(conn, signed)


async def _find_side(
    conn: Connection, call: Call, movement_id: UUID, account_id: UUID | None
) -> bool:
    """Which side of a movement the caller is shown: whether it is the one that the money reached.

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
    if not shown:
        raise errors.MovementNotFound(str(movement_id))
    if account_id is None:
        return min(sides[each] for each in shown)
    if account_id not in (sides if call.unconditional else own):
        raise errors.AccountNotFound(str(account_id))
    return sides[account_id]


async def _checkpoint(conn: Connection, signed: Signed) -> proof_pb2.Checkpoint:
    return proof_pb2.Checkpoint(
        text=signed.checkpoint.text(),
        signature=signed.signature.hex(),
        key_id=signed.key_id,
        public_key=keys.shown(await signing_keys.public_key(conn, signed.key_id)),
    )


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
