"""MovementService: movements found across accounts by their references and their metadata."""

from uuid import uuid4

import psycopg
import pytest

from balance_client import AsyncClient, async_each, v1
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from balance_service.repositories import verification
from tests.service import Service, StartService, Verified, reason, refused, somebody

KEYS = "order, invoice"


async def found(client: AsyncClient, **wanted: str) -> list[v1.Movement]:
    """All pages of a list, which are small."""
    request = v1.ListMovementsRequest(page_size=2, **wanted)  # type: ignore[arg-type]
    pages = async_each(client.movements.ListMovements, request, lambda page: page.movements)
    return [movement async for movement in pages]


def ids(movements: list[v1.Movement]) -> list[str]:
    return [movement.id for movement in movements]


async def test_movements_are_found_by_reference_whoever_used_it(service: Service) -> None:
    erp = await service.sibling(Scope.ACCOUNTS_READ)
    made = []
    for source in ("stripe", "stripe", "bank"):
        person, account = await somebody(service)
        request = v1.CreateDepositRequest(
            account=account, amount="2.50", source=source, reference="ch_1", description="Why"
        )
        made.append(await person.client.deposits.CreateDeposit(request))
        request.reference = "ch_2"
        await person.client.deposits.CreateDeposit(request)
    deposits = [deposit.id for deposit in made]
    assert ids(await found(erp, reference="ch_1")) == deposits[::-1]
    assert ids(await found(erp, reference="ch_1", source="stripe")) == deposits[1::-1]
    assert not await found(erp, reference="ch_1", source="none")
    (last,) = await found(erp, reference="ch_1", source="bank")
    assert (last.kind, last.amount, last.currency, last.source, last.reference, last.date) == (
        v1.MOVEMENT_KIND_DEPOSIT, "2.50", "RUB", "bank", "ch_1", made[2].date,
    )  # fmt: skip
    assert (last.to_account, last.description) == (made[2].account, "Why")
    counted = v1.ListMovementsRequest(reference="ch_1", count_total=True, skip=2)
    page = await erp.movements.ListMovements(counted)
    assert (page.total_size, ids(list(page.movements))) == (3, deposits[:1])


async def test_movements_of_every_kind_are_found_by_metadata(start_service: StartService) -> None:
    service = await start_service(searchable_metadata=KEYS)
    erp, admin = await service.sibling(Scope.ACCOUNTS_READ), await service.admin()
    person, account = await somebody(service, "100")
    _, other = await somebody(service)
    pair = {"order": "42", "shown": "no"}
    client = person.client
    withdraw = v1.CreateWithdrawalRequest(amount="1", metadata=pair)
    send = v1.CreateTransferRequest(to_account=other, amount="1", metadata={"order": "43"})
    held = v1.CreateHoldRequest(to_account=other, amount="1", metadata=pair)
    made = [(await client.withdrawals.CreateWithdrawal(withdraw)).id]
    another = (await client.transfers.CreateTransfer(send)).id
    hold = await client.holds.CreateHold(held)
    capture = v1.CaptureHoldRequest(hold=hold.id, metadata={"invoice": "42", "order": "42"})
    made.append((await client.holds.CaptureHold(capture)).id)
    back = v1.ReverseWithdrawalRequest(withdrawal=made[0], reason="Why", metadata=pair)
    made.append((await admin.client.withdrawals.ReverseWithdrawal(back)).id)
    listed = await found(erp, metadata_key="order", metadata_value="42")
    assert ids(listed) == made[::-1]
    assert listed[-1].metadata == pair
    assert ids(await found(erp, metadata_key="order", metadata_value="43")) == [another]
    assert ids(await found(erp, metadata_key="invoice", metadata_value="42")) == made[1:2]
    assert not await found(erp, metadata_key="invoice")
    counted = v1.ListMovementsRequest(
        metadata_key="order", metadata_value="42", count_total=True, skip=1, page_size=1
    )
    page = await erp.movements.ListMovements(counted)
    assert (page.total_size, ids(list(page.movements))) == (3, made[1:2])
    assert account not in (other, "")


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (v1.ListMovementsRequest(), ["reference"]),
        (
            v1.ListMovementsRequest(reference="1", metadata_key="order"),
            ["reference", "metadata_key"],
        ),
        (v1.ListMovementsRequest(metadata_key="shown"), ["metadata_key"]),
        (v1.ListMovementsRequest(metadata_key="order", source="x"), ["source"]),
        (v1.ListMovementsRequest(reference="1", metadata_value="x"), ["metadata_value"]),
        (
            v1.ListMovementsRequest(reference="x" * 101, source="x" * 49, page_size=-1, skip=-1),
            ["reference", "source", "page_size", "skip"],
        ),
        (
            v1.ListMovementsRequest(metadata_key="order", metadata_value="x" * 201),
            ["metadata_value"],
        ),
    ],
)
async def test_wrong_search_is_refused_by_field(
    start_service: StartService, request_: v1.ListMovementsRequest, fields: list[str]
) -> None:
    service = await start_service(searchable_metadata=KEYS)
    erp = await service.sibling(Scope.ACCOUNTS_READ)
    error = await refused(erp.movements.ListMovements(request_))
    assert [violation.field for violation in error.violations] == fields


async def test_others_hear_the_same_whatever_is_there(start_service: StartService) -> None:
    service = await start_service(searchable_metadata=KEYS)
    person, account = await somebody(service)
    request = v1.CreateDepositRequest(
        account=account, amount="1", reference="ch_1", metadata={"order": "42"}
    )
    await person.client.deposits.CreateDeposit(request)
    unscoped = await service.sibling(Scope.DEPOSITS_WRITE)
    for client in (person.client, (await service.person()).client, unscoped):
        for wanted in (
            {"reference": "ch_1"},
            {"reference": "ch_9"},
            {"metadata_key": "order", "metadata_value": "42"},
            {"metadata_key": "none", "metadata_value": "42"},
            {},
        ):
            search = v1.ListMovementsRequest(**wanted)  # type: ignore[arg-type]
            error = await refused(client.movements.ListMovements(search))
            assert error.reason == "PERMISSION_MISSING"
            assert error.metadata["required"] == "role moderator or scope accounts:read"


async def test_page_token_is_of_one_search(start_service: StartService) -> None:
    service = await start_service(searchable_metadata=KEYS)
    erp = await service.sibling(Scope.ACCOUNTS_READ)
    person, account = await somebody(service)
    for _ in range(3):
        request = v1.CreateDepositRequest(account=account, amount="1", metadata={"order": "42"})
        await person.client.deposits.CreateDeposit(request)
    search = v1.ListMovementsRequest(metadata_key="order", metadata_value="42", page_size=1)
    search.page_token = (await erp.movements.ListMovements(search)).next_page_token
    assert len((await erp.movements.ListMovements(search)).movements) == 1
    search.metadata_value = "43"
    assert await reason(erp.movements.ListMovements(search)) == "PAGE_TOKEN_INVALID"


async def test_older_movements_are_found_once_they_are_indexed(
    start_service: StartService, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(administration, "PART_MOVEMENTS", 2)
    before = await start_service()
    person, account = await somebody(before)
    made = []
    for _ in range(5):
        request = v1.CreateDepositRequest(account=account, amount="1", metadata={"order": "42"})
        request.request_id = str(uuid4())
        made.append((await person.client.deposits.CreateDeposit(request)).id)
    service = await start_service(searchable_metadata=KEYS)
    erp = await service.sibling(Scope.ACCOUNTS_READ)
    wanted = {"metadata_key": "order", "metadata_value": "42"}
    assert not await found(erp, **wanted)
    for _ in range(2):
        await administration.index_metadata(service.settings)
        assert ids(await found(erp, **wanted)) == made[::-1]
    await verified()


@pytest.mark.parametrize(
    "change",
    [
        b"UPDATE movement_labels SET value = '43'",
        b"UPDATE movement_labels SET key = 'invoice'",
        b"UPDATE movement_labels SET created_at = now()",
        b"UPDATE movement_labels SET movement_id = gen_random_uuid()",
    ],
)
async def test_verify_names_labels_that_no_movement_has(
    start_service: StartService, database_url: str, verified: Verified, change: bytes
) -> None:
    service = await start_service(searchable_metadata=KEYS)
    person, account = await somebody(service)
    request = v1.CreateDepositRequest(account=account, amount="1", metadata={"order": "42"})
    await person.client.deposits.CreateDeposit(request)
    await verified()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute(change)
        report = await verification.verify(conn)
    assert [name for name, faults in report.faults.items() if faults] == ["label_has_movement"]
