"""Verification by call: what it tells, whom it lets in, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
from google.protobuf import json_format

from balance_client import BalanceError, v1
from balance_service.domain.principals import Scope
from balance_service.reading.verification import MEANINGS
from balance_service.repositories import incremental_checks, proof_checks, verification
from tests.audit import events
from tests.parity_world import make_checkpoint
from tests.service import Person, Service, refused, somebody

FULL = v1.VerifyLedgerRequest(mode=v1.VERIFICATION_MODE_FULL)
PATH = "/api/v1/ledger:verify"
RUNS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = %s
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def told(person: Person, request: v1.VerifyLedgerRequest) -> list[v1.VerifyLedgerResponse]:
    return [each async for each in person.client.proofs.VerifyLedger(request)]


async def told_over_http(person: Person, query: str) -> list[v1.VerifyLedgerResponse]:
    async with person.http.stream(PATH + query) as answer:
        lines = [json.loads(line) async for line in answer.content if line.strip()]
    return [json_format.ParseDict(line["result"], v1.VerifyLedgerResponse()) for line in lines]


def started(run: list[v1.VerifyLedgerResponse]) -> dict[str, str]:
    return {it.started.check: it.started.description for it in run if it.HasField("started")}


def faults(run: list[v1.VerifyLedgerResponse]) -> dict[str, list[v1.LedgerFault]]:
    return {it.finished.check: list(it.finished.faults) for it in run if it.HasField("finished")}


async def test_every_check_is_told_and_summed_up_over_both_doors(service: Service) -> None:
    await somebody(service, "10")
    admin = await service.admin()
    await make_checkpoint(service.settings)
    for run in (
        await told(admin, FULL),
        await told_over_http(admin, "?mode=VERIFICATION_MODE_FULL"),
    ):
        assert started(run) == verification.CHECKS
        assert faults(run) == {check: [] for check in verification.CHECKS}
        summary = run[-1].summary
        assert (summary.clean, summary.fault_count, summary.mode) == (True, 0, FULL.mode)
        assert {row.name: row.count for row in summary.rows}["movements"] >= 1
        assert summary.checkpoint >= 1
        assert not summary.unbalanced_currencies
    for run in (await told(admin, v1.VerifyLedgerRequest()), await told_over_http(admin, "")):
        checks = {*incremental_checks.CHECKS, *proof_checks.PUBLISHED_CHECKS}
        assert started(run) == {check: MEANINGS[check] for check in checks}
        assert run[-1].summary.mode == v1.VERIFICATION_MODE_INCREMENTAL
        assert run[-1].summary.clean
    acts = await events(admin, action="ledger.verified")
    assert len(acts) == 4
    assert {event.actor for event in acts} == {f"user:{admin.user_id}"}
    last = run[-1].summary
    assert (acts[-1].after["checkpoint"], acts[-1].after["checkpoint_hash"]) == (
        str(last.checkpoint),
        last.checkpoint_hash,
    )


async def test_fault_is_told_with_its_place(service: Service, database_url: str) -> None:
    _, account = await somebody(service, "10")
    admin = await service.admin()
    await make_checkpoint(service.settings)
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "UPDATE accounts SET balance_minor = balance_minor + 1 WHERE account_id = %s",
            (account,),
        )
    run = await told(admin, FULL)
    (fault,) = faults(run)["balance_is_sum_of_entries"]
    assert (fault.subject, fault.stored, fault.computed) == (account, "1001", "1000")
    summary = run[-1].summary
    assert not summary.clean
    assert summary.fault_count == sum(map(len, faults(run).values())) >= 1
    assert summary.unbalanced_currencies == ["RUB"]
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "UPDATE movements SET description = %s"
            " WHERE movement_id = (SELECT movement_id FROM covered_movements LIMIT 1)",
            ("x" * 100,),
        )
    run = await told_over_http(admin, "")
    (changed,) = faults(run)["covered_movement_is_unchanged"]
    assert changed.subject.endswith(f"of checkpoint {run[-1].summary.checkpoint}")
    *_, event = await events(admin, action="ledger.verified")
    assert event.after["faults"] == str(run[-1].summary.fault_count)


async def test_run_is_for_admins_and_services_that_read_accounts(service: Service) -> None:
    person = await service.person()
    stream = person.client.proofs.VerifyLedger(v1.VerifyLedgerRequest())
    assert (await refused(anext(aiter(stream)))).reason == "PERMISSION_MISSING"
    sibling = await service.sibling(Scope.ACCOUNTS_READ)
    run = [it async for it in sibling.proofs.VerifyLedger(v1.VerifyLedgerRequest())]
    assert run[-1].HasField("summary")
    unknown = v1.VerifyLedgerRequest(mode=99)  # type: ignore[arg-type]
    error = await refused(anext(aiter(sibling.proofs.VerifyLedger(unknown))))
    assert [violation.field for violation in error.violations] == ["mode"]


@pytest.fixture
async def held_up(database_url: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Holds up whole runs; what it gives waits until so many are under way."""
    async with (
        await psycopg.AsyncConnection.connect(database_url) as holder,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as looking,
    ):
        await holder.execute("LOCK TABLE quotes IN ACCESS EXCLUSIVE MODE")

        async def wait_for(runs: int) -> None:
            async with asyncio.timeout(60):
                while True:
                    row = await (await looking.execute(RUNS, (verification._LOCK,))).fetchone()
                    if row == (runs,):
                        return
                    await asyncio.sleep(0.05)

        yield wait_for


async def test_one_run_at_a_time_which_ends_with_its_caller(
    service: Service, held_up: Callable[[int], Awaitable[None]]
) -> None:
    person, account = await somebody(service, "10")
    admin, other = await service.admin(), await service.admin()
    stream = aiter(admin.client.proofs.VerifyLedger(FULL))
    assert (await anext(stream)).HasField("started")
    await held_up(1)
    error = await refused(anext(aiter(other.client.proofs.VerifyLedger(FULL))))
    assert (error.reason, error.retry_after_seconds) == ("VERIFICATION_RUNNING", 30)
    answer = await other.http("GET", PATH)
    assert (answer.status, answer.reason) == (409, "VERIFICATION_RUNNING")
    assert answer.headers["retry-after"] == "30"
    # Nobody's money waits for it.
    await person.deposit("1", account)
    stream.cancel()
    await held_up(0)
    async with other.http.stream(PATH + "?mode=VERIFICATION_MODE_FULL") as streamed:
        await streamed.content.readline()
        await held_up(1)
        streamed.close()
    await held_up(0)
    assert not await events(admin, action="ledger.verified")


@pytest.mark.usefixtures("within")
async def test_run_ends_with_its_worker(
    service: Service, held_up: Callable[[int], Awaitable[None]]
) -> None:
    admin = await service.admin()
    stream = aiter(admin.client.proofs.VerifyLedger(FULL))
    assert (await anext(stream)).HasField("started")
    async with asyncio.timeout(60):
        stopping = asyncio.create_task(service.app.stop())
        with pytest.raises(BalanceError) as error:
            while True:
                await anext(stream)
        assert error.value.reason == "UNAVAILABLE"
        await stopping
    await held_up(0)
