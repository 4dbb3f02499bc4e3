"""A scene for every refusal that is about receipts and checkpoints."""

import psycopg

from balance_client import v1
from balance_service.domain import errors
from balance_service.repositories import checkpoints, verification
from tests.refusal_scenes import Ask, World, provokes


@provokes(errors.ReceiptNotReady)
async def movement_that_is_not_covered(world: World) -> Ask:
    deposit = (await world.anna.deposit("1", world.account)).id
    async with await psycopg.AsyncConnection.connect(world.database_url) as conn:
        # As if checkpoints were far ahead: a worker makes none any more.
        await conn.execute("SELECT pg_advisory_xact_lock(%s)", (checkpoints._LOCK,))
        await conn.execute(
            "UPDATE checkpoints SET last_event = 1000000000"
            " WHERE number = (SELECT max(number) FROM checkpoints)"
        )
        await conn.execute("DELETE FROM covered_movements WHERE movement_id = %s", (deposit,))
    return Ask("ProofService/GetReceipt", v1.GetReceiptRequest(movement=deposit), world.anna)


@provokes(errors.CheckpointNotFound)
async def checkpoint_that_is_not_made(world: World) -> Ask:
    request = v1.GetCheckpointRequest(checkpoint="1000000000")
    return Ask("ProofService/GetCheckpoint", request, world.admin)


@provokes(errors.VerificationRunning)
async def ledger_that_is_being_verified(world: World) -> Ask:
    # On one server, and on a cluster.
    for lock in ("lock", "lock_for_long"):
        world.patch.setitem(verification._SQL, lock, "SELECT %(lock)s IS NULL")
    return Ask("ProofService/VerifyLedger", v1.VerifyLedgerRequest(), world.admin)
