"""Lists over HTTP with pages by number, as earlier callers ask for them."""

import re

from tests import schedules
from tests.http import BINDINGS
from tests.service import Service, StartService, somebody


async def test_pages_by_number_show_everything_once(service: Service) -> None:
    person, account = await somebody(service)
    euros = await person.open("EUR")
    for amount in ("3", "1", "2", "5", "4"):
        await person.deposit(amount, account)
        await person.deposit(amount, euros.id, "EUR")
    expected = [f"{amount}.00" for amount in (4, 4, 5, 5, 2, 2, 1, 1, 3, 3)]
    url, seen = "/api/v1/actions/?page=1&page_size=4", []
    while url:
        assert url.startswith("/api/v1/actions/?"), "whatever host is asked"
        page = (await person.http("GET", url, host="elsewhere.example")).json
        assert set(page) == {"count", "next", "previous", "results"}
        assert page["count"] == 10
        seen += [deposit["amount"] for deposit in page["results"]]
        url = page["next"]
    assert seen == expected
    assert page["previous"].endswith("page=2")
    beyond = await person.http("GET", "/api/v1/actions/?page=4&page_size=4")
    assert (beyond.status, beyond.reason) == (404, "PAGE_NOT_FOUND")
    query = f"?account={account}&ordering=-amount&page=2&page_size=2"
    page = (await person.http("GET", f"/api/v1/actions/{query}")).json
    assert [deposit["amount"] for deposit in page["results"]] == ["3.00", "2.00"]
    smallest = await person.http("GET", f"/api/v1/actions/?account={account}&ordering=amount")
    assert [d["amount"] for d in smallest.json["deposits"]] == [f"{n}.00" for n in range(1, 6)]


async def test_pages_begin_with_the_public_url_where_one_is_set(
    start_service: StartService,
) -> None:
    service = await start_service(http_public_url="https://api.example.com/")
    person, account = await somebody(service, "1")
    await person.deposit("2", account)
    page = (await person.http("GET", "/api/v1/actions?page=1&page_size=1")).json
    assert page["next"] == "https://api.example.com/api/v1/actions?page_size=1&page=2"


async def test_every_list_has_pages_by_number(service: Service) -> None:
    admin = await service.admin()
    await admin.open()
    for name in ("Tea", "Coffee", "Milk"):
        await admin.http("POST", "/api/v1/services", {"name": name, "price": "4"})
    lists = [b for b in BINDINGS if "total_size" in b.method.output.fields_by_name]
    hears = {"url": "https://93.184.216.34/", "disabled": True}
    endpoint = (await admin.http("POST", "/api/v1/webhooks/endpoints", hears)).json["id"]
    assert len(lists) == 21
    _, other = await somebody(service)
    schedule = (await schedules.make(admin.client, schedules.once(other))).id
    account = (await admin.http("GET", "/api/v1/accounts")).json["accounts"][0]["id"]
    ids = {"{account}": account, "{schedule}": schedule, "{endpoint}": endpoint}
    for binding in lists:
        path = re.sub(r"\{\w+\}", lambda field: ids[field[0]], binding.template)
        asked = "&reference=x" if path.endswith("/movements") else ""
        page = (await admin.http("GET", f"{path}/?page=1&page_size=2{asked}")).json
        assert page["count"] >= len(page["results"]), binding
        assert page["previous"] is None
    services = (await admin.http("GET", "/api/v1/services?page=2&page_size=2")).json
    assert ([s["name"] for s in services["results"]], services["count"]) == (["Milk"], 3)
