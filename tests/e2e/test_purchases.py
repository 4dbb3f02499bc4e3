"""PurchaseService: the catalogue, and what is bought from it."""

import asyncio
from uuid import uuid4

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from balance_client import AsyncClient, async_each, v1
from tests.service import Service, Verified, refused, replayed, rich

# The catalogue and purchases


async def catalogue(client: AsyncClient, price: str, currency: str = "RUB") -> v1.Service:
    service = v1.Service(name=f"Service for {price}", price=price, currency=currency)
    return await client.purchases.CreateService(v1.CreateServiceRequest(service=service))


async def test_catalogue_is_kept_by_admins_and_read_by_everyone(service: Service) -> None:
    admin, person, anyone = await service.admin(), await service.person(), service.client()
    made = await catalogue(admin.client, "10", "USD")
    await catalogue(admin.client, "20", "RUB")
    assert await anyone.purchases.GetService(v1.GetServiceRequest(service=made.id)) == made
    in_dollars = await anyone.purchases.ListServices(v1.ListServicesRequest(currency="USD"))
    assert list(in_dollars.services) == [made]
    pages = async_each(
        anyone.purchases.ListServices, v1.ListServicesRequest(page_size=1), lambda p: p.services
    )
    assert [found.currency async for found in pages] == ["USD", "RUB"]
    change = v1.UpdateServiceRequest(
        id=made.id,
        service=v1.Service(price="12.5", name="ignored", etag=made.etag),
        update_mask=FieldMask(paths=["price"]),
    )
    changed = await admin.client.purchases.UpdateService(change)
    assert (changed.price, changed.name) == ("12.50", made.name)
    error = await refused(admin.client.purchases.UpdateService(change))
    assert error.reason == "ETAG_MISMATCH"
    for call in (
        person.client.purchases.CreateService(v1.CreateServiceRequest(service=made)),
        person.client.purchases.UpdateService(change),
        person.client.purchases.DeleteService(v1.DeleteServiceRequest(service=made.id)),
    ):
        assert (await refused(call)).reason == "PERMISSION_MISSING"
    await admin.client.purchases.DeleteService(v1.DeleteServiceRequest(service=made.id))
    get = anyone.purchases.GetService(v1.GetServiceRequest(service=made.id))
    assert (await refused(get)).reason == "SERVICE_NOT_FOUND"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "service.name"),
        ({"name": "x" * 51}, "service.name"),
        ({"description": "x" * 1001}, "service.description"),
        ({"price": "0.99"}, "service.price"),
        ({"price": ""}, "service.price"),
        ({"price": "1.001"}, "service.price"),
        ({"price": "1.5", "currency": "JPY"}, "service.price"),
        ({"currency": "BTC"}, "service.currency"),
    ],
)
async def test_bad_service_is_refused_by_field(
    service: Service, values: dict[str, str], field: str
) -> None:
    admin = await service.admin()
    whole = v1.Service(**{"name": "Coffee", "price": "10", **values})  # type: ignore[arg-type]
    call = admin.client.purchases.CreateService(v1.CreateServiceRequest(service=whole))
    assert [violation.field for violation in (await refused(call)).violations] == [field]


async def test_foreign_price_is_charged_at_the_stored_rate(
    service: Service, verified: Verified
) -> None:
    admin = await service.admin()
    person, _ = await rich(service, "2000")
    sold = await catalogue(admin.client, "19.99", "USD")
    request = v1.CreatePurchaseRequest(service=sold.id)
    bought = await person.client.purchases.CreatePurchase(request)
    assert (bought.amount, bought.currency, bought.balance) == ("1599.20", "RUB", "400.80")
    assert (bought.conversion.amount, bought.conversion.currency) == ("19.99", "USD")
    assert (bought.conversion.rate, bought.conversion.source) == ("80", "static")
    assert not bought.already_purchased
    get = v1.GetPurchaseRequest(purchase=bought.id)
    assert await person.client.purchases.GetPurchase(get) == bought
    await verified()


async def test_second_purchase_charges_nothing_and_says_so(
    service: Service, verified: Verified
) -> None:
    admin = await service.admin()
    person, account = await rich(service)
    sold = await catalogue(admin.client, "10")
    request = v1.CreatePurchaseRequest(service=sold.id, account=account)
    answers = await asyncio.gather(
        *(person.client.purchases.CreatePurchase(request) for _ in range(6))
    )
    assert sorted(answer.already_purchased for answer in answers) == [False] + [True] * 5
    assert len({answer.id for answer in answers}) == 1
    assert await person.balance(account) == "990.00"
    await admin.client.purchases.DeleteService(v1.DeleteServiceRequest(service=sold.id))
    assert (await person.client.purchases.CreatePurchase(request)).already_purchased
    listed = await person.client.purchases.ListPurchases(v1.ListPurchasesRequest())
    assert [purchase.id for purchase in listed.purchases] == [answers[0].id]
    await verified()


async def test_purchase_is_refused_for_its_reason(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service, "5")
    dear = await catalogue(admin.client, "10")
    exotic = await catalogue(admin.client, "10", "ZWG")
    gone = await catalogue(admin.client, "1")
    await admin.client.purchases.DeleteService(v1.DeleteServiceRequest(service=gone.id))
    cases = {
        "INSUFFICIENT_FUNDS": dear.id,
        "RATE_UNAVAILABLE": exotic.id,
        "SERVICE_NOT_FOUND": gone.id,
    }
    for reason, sold in cases.items():
        request = v1.CreatePurchaseRequest(service=sold, account=account)
        error = await refused(person.client.purchases.CreatePurchase(request))
        assert error.reason == reason
        if reason == "INSUFFICIENT_FUNDS":
            assert error.metadata["missing"] == "5.00"
    unknown = v1.CreatePurchaseRequest(service=str(uuid4()), account=account)
    error = await refused(person.client.purchases.CreatePurchase(unknown))
    assert error.reason == "SERVICE_NOT_FOUND"
    stranger = await service.person()
    theft = v1.CreatePurchaseRequest(service=dear.id, account=account)
    error = await refused(stranger.client.purchases.CreatePurchase(theft))
    assert error.reason == "ACCOUNT_NOT_FOUND"


async def test_purchase_retried_after_a_change_of_price_is_the_same(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service)
    sold = await catalogue(admin.client, "10")
    request = v1.CreatePurchaseRequest(service=sold.id, account=account, request_id=str(uuid4()))
    first = await person.client.purchases.CreatePurchase(request)
    await admin.client.purchases.UpdateService(
        v1.UpdateServiceRequest(
            id=sold.id,
            service=v1.Service(price="99", name="Other"),
            update_mask=FieldMask(paths=["price", "name"]),
        )
    )
    again = person.client.purchases.CreatePurchase(request)
    assert await replayed(again)
    assert await again == first


# Price in hand, and more than one


async def test_purchase_at_another_price_than_expected_buys_nothing(
    service: Service, verified: Verified
) -> None:
    admin = await service.admin()
    person, account = await rich(service)
    sold = await catalogue(admin.client, "10")
    buy = person.client.purchases.CreatePurchase

    def expecting(price: str, currency: str = "", key: str = "") -> v1.CreatePurchaseRequest:
        return v1.CreatePurchaseRequest(
            service=sold.id, expected_price=price, expected_currency=currency, request_id=key
        )

    for wrong in (expecting("10.01"), expecting("9.99"), expecting("10", "USD")):
        error = await refused(buy(wrong))
        assert (error.code(), error.reason) == (grpc.StatusCode.ABORTED, "PRICE_CHANGED")
        told = {name: error.metadata[name] for name in ("service", "price", "currency")}
        assert told == {"service": sold.id, "price": "10.00", "currency": "RUB"}
    assert await person.balance(account) == "1000.00"
    first = await buy(expecting("10.0", "RUB", "tea"))
    # Neither a repeat nor what was bought already charges anything, so no price matters to them.
    assert await buy(expecting("9", key="tea")) == first
    assert (await buy(expecting("9"))).already_purchased
    await verified()


async def test_service_that_has_changed_is_not_bought_by_its_old_etag(
    service: Service, verified: Verified
) -> None:
    admin = await service.admin()
    anna, account = await rich(service, "100")
    seen = await catalogue(admin.client, "10")
    request = v1.CreatePurchaseRequest(
        service=seen.id, service_etag="of no version", request_id="once"
    )
    error = await refused(anna.client.purchases.CreatePurchase(request))
    assert (error.code(), error.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    request.service_etag = seen.etag
    bought = await anna.client.purchases.CreatePurchase(request)
    change = v1.UpdateServiceRequest(
        id=seen.id,
        service=v1.Service(description="Another"),
        update_mask=FieldMask(paths=["description"]),
    )
    after = await admin.client.purchases.UpdateService(change)
    # A repeat is answered by what was done, whatever became of the service.
    assert (await anna.client.purchases.CreatePurchase(request)).id == bought.id
    boris, _ = await rich(service, "100")
    request = v1.CreatePurchaseRequest(service=seen.id, service_etag=seen.etag)
    error = await refused(boris.client.purchases.CreatePurchase(request))
    assert error.reason == "ETAG_MISMATCH"
    request.service_etag = after.etag
    await boris.client.purchases.CreatePurchase(request)
    assert await anna.balance(account) == "90.00"
    await verified()


async def test_repeatable_service_is_bought_again_and_several_at_a_time(
    service: Service, verified: Verified
) -> None:
    admin = await service.admin()
    person, _ = await rich(service)
    sold = await admin.client.purchases.CreateService(
        v1.CreateServiceRequest(
            service=v1.Service(name="Coffee", price="1.01", currency="USD", repeatable=True)
        )
    )
    buy = person.client.purchases.CreatePurchase
    request = v1.CreatePurchaseRequest(service=sold.id)
    bought = [await buy(request) for _ in range(2)]
    assert len({purchase.id for purchase in bought}) == 2
    assert not any(purchase.already_purchased for purchase in bought)
    assert {(p.amount, p.quantity) for p in bought} == {("80.80", 1)}
    several = v1.CreatePurchaseRequest(
        service=sold.id, quantity=3, expected_price="1.01", expected_currency="USD"
    )
    three = await buy(several)
    assert (three.amount, three.quantity) == ("242.40", 3)
    assert (three.conversion.amount, three.balance) == ("3.03", "596.00")
    get = v1.GetPurchaseRequest(purchase=three.id)
    assert await person.client.purchases.GetPurchase(get) == three
    await verified()


async def test_several_of_a_service_are_one_request(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service)
    sold = await admin.client.purchases.CreateService(
        v1.CreateServiceRequest(service=v1.Service(name="Tea", price="10", repeatable=True))
    )
    buy = person.client.purchases.CreatePurchase

    def several(quantity: int) -> v1.CreatePurchaseRequest:
        return v1.CreatePurchaseRequest(service=sold.id, quantity=quantity, request_id="order 1")

    first = await buy(several(2))
    await admin.client.purchases.UpdateService(
        v1.UpdateServiceRequest(
            id=sold.id,
            service=v1.Service(repeatable=False),
            update_mask=FieldMask(paths=["repeatable"]),
        )
    )
    assert await buy(several(2)) == first
    error = await refused(buy(several(3)))
    assert (error.reason, error.metadata["fields"]) == ("IDEMPOTENCY_KEY_REUSED", "quantity")
    # What was bought while it was repeatable does not count.
    once = await buy(v1.CreatePurchaseRequest(service=sold.id))
    assert (once.already_purchased, once.id == first.id) == (False, False)
    assert (await buy(v1.CreatePurchaseRequest(service=sold.id))).id == once.id
    two = await refused(buy(v1.CreatePurchaseRequest(service=sold.id, quantity=2)))
    assert [violation.field for violation in two.violations] == ["quantity"]
    assert await person.balance(account) == "970.00"


async def test_service_bought_once_refuses_a_larger_quantity(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service)
    sold = await catalogue(admin.client, "10")
    assert not sold.repeatable
    error = await refused(
        person.client.purchases.CreatePurchase(
            v1.CreatePurchaseRequest(service=sold.id, quantity=2)
        )
    )
    assert [violation.field for violation in error.violations] == ["quantity"]
    assert await person.balance(account) == "1000.00"


async def test_total_beyond_the_ledger_is_refused(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service, "92233720368547758.07")
    await admin.client.accounts.SetAccountLimit(
        v1.SetAccountLimitRequest(account=account, limit="92233720368547758.07")
    )
    sold = await admin.client.purchases.CreateService(
        v1.CreateServiceRequest(
            service=v1.Service(name="Moon", price="60000000000000000", repeatable=True)
        )
    )
    request = v1.CreatePurchaseRequest(service=sold.id, quantity=2, account=account)
    error = await refused(person.client.purchases.CreatePurchase(request))
    assert error.reason == "BALANCE_OVERFLOW"
