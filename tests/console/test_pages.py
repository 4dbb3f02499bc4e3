"""What the console shows: what is found, accounts, movements, the catalogue, the audit log."""

import re
from datetime import UTC

from balance_client import AsyncServiceCredentials, v1
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.approvals import asked
from tests.archived import archive
from tests.console.visitors import Console, Visitor
from tests.service import Person, rich

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


async def look(visitor: Visitor, text: str) -> str:
    """Where a search leads."""
    shown = await visitor.submit(await visitor.get("/"), q=text)
    assert shown.status == 200, shown.text
    return shown.path


async def test_one_box_finds_all_that_an_operator_has_at_hand(console: Console) -> None:
    service = console.service
    secret = await administration.create_service_principal(
        service.settings, "billing", "", [Scope.USERS_WRITE, Scope.DEPOSITS_WRITE]
    )
    person, account = await rich(service)
    await name(person, "Anna", "Lovelace")
    billing = service.client(AsyncServiceCredentials("billing", secret))
    external = v1.SetUserExternalIdRequest(user=person.user_id, external_id="4711")
    await billing.users.SetUserExternalId(external)
    deposit = await billing.deposits.CreateDeposit(
        v1.CreateDepositRequest(account=account, amount="5", source="stripe", reference="ch_9 b")
    )
    hold = await person.client.holds.CreateHold(
        v1.CreateHoldRequest(amount="1", to_account=(await rich(service))[1])
    )
    number = (await person.client.accounts.GetAccount(v1.GetAccountRequest(account=account))).number
    user, visitor = f"/users/{person.user_id}", await console.admin()
    for text, path in {
        person.email.upper(): user,
        person.email[3:13]: user,
        "lovelace": user,
        "Anna Lovelace": user,
        "service:billing 4711": user,
        person.user_id: user,
        f"user:{person.user_id}": user,
        account.upper(): f"/accounts/{account}",
        number: f"/accounts/{account}",
        f"{number[:5]} {number[5:]}": f"/accounts/{account}",
        deposit.id: f"/movements/{deposit.id}",
        "ch_9 b": f"/movements/{deposit.id}",
        "stripe ch_9 b": f"/movements/{deposit.id}",
        hold.id: f"/holds/{hold.id}",
        "nobody": "/find",
        "service:none 1": "/find",
        "00000000-0000-7000-8000-000000000000": "/find",
    }.items():
        assert await look(visitor, text) == path, text
    assert person.user_id not in "".join(visitor.visited[:2])
    assert "@" not in "".join(visitor.visited)

    moderator = await console.moderator()
    assert await look(moderator, number) == f"/accounts/{account}"
    assert await look(moderator, "ch_9 b") == f"/movements/{deposit.id}"
    assert await look(moderator, person.email) == "/find"


async def name(person: Person, first: str, last: str) -> None:
    request = v1.UpdateMeRequest(user=v1.User(first_name=first, last_name=last))
    request.update_mask.paths.extend(["first_name", "last_name"])
    await person.client.users.UpdateMe(request)


async def test_hostile_texts_are_shown_as_texts(console: Console) -> None:
    person, account = await rich(console.service)
    await name(person, HOSTILE, HOSTILE)
    deposit = await person.client.deposits.CreateDeposit(
        v1.CreateDepositRequest(
            amount="1", description=HOSTILE, reference=HOSTILE, source=HOSTILE[:40]
        )
    )
    visitor = await console.admin()
    frozen = await visitor.check("freeze-account", account, reason=HOSTILE)
    await visitor.submit(frozen, ("step", "do"))
    found = await visitor.submit(await visitor.get("/"), q=HOSTILE[:30])
    paths = (
        f"/users/{person.user_id}",
        f"/accounts/{account}",
        f"/movements/{deposit.id}",
        f"/accounts/{account}/changes",
        f"/accounts/{account}/live",
        f"/accounts/{account}?min={HOSTILE[:9]}&path=x",
        "/audit",
        f"/audit?actor={HOSTILE[:20]}",
        f"/acts/{HOSTILE[:8]}/x",
    )
    pages = [frozen, found, *[await visitor.get(path) for path in paths]]
    for shown in pages:
        assert not re.search(r"<script>|<img|onerror=alert\(2\)>", shown.html), shown.path
        assert "style=" not in shown.html
        assert "<script src=" not in shown.html.replace('<script src="/assets/htmx', "")
    assert HOSTILE in pages[2].text
    assert HOSTILE in pages[3].text


async def test_statement_is_filtered_paged_and_drawn(console: Console) -> None:
    person = await console.service.person()
    account = (await person.open()).id
    for number in range(1, 31):
        await person.deposit(f"{number}000", account)
    visitor = await console.admin()
    shown = await visitor.get(f"/accounts/{account}")
    assert "465 000.00 RUB" in shown.text.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert (shown.html.count('<tr role="row">'), "<path d=" in shown.html) == (26, True)
    (following,) = [link for link in shown.links if "page=" in link]
    shown = await visitor.get(following)
    assert (shown.html.count('<tr role="row">'), "Next page" in shown.text) == (6, False)

    async def rows(query: str) -> int:
        shown = await visitor.get(f"/accounts/{account}?{query}")
        assert shown.status == 200, shown.text
        return max(shown.html.count('<tr role="row">') - 1, 0)

    assert await rows("min=29 000&max=30000") == 2
    assert await rows("kind=withdrawal") == 0
    assert await rows("kind=deposit&order=amount&min=20000") == 11
    assert await rows("to=2020-01-01") == 0
    assert await rows("from=2020-01-01&to=2099-01-01") == 25
    for query, status in {"from=x": 400, "kind=x": 400, "min=x": 400, "page=x": 400}.items():
        assert (await visitor.get(f"/accounts/{account}?{query}")).status == status, query


async def test_pages_say_what_is_archived(console: Console, database_url: str) -> None:
    person, account = await rich(console.service)
    old = await person.deposit("5", account)
    new = await person.deposit("7", account)
    await archive(database_url, new.date.ToDatetime(tzinfo=UTC))
    visitor = await console.admin()
    shown = await visitor.get(f"/accounts/{account}")
    assert "UTC are archived." in shown.text
    assert ("7.00" in shown.text, f"/movements/{old.id}" in shown.links) == (True, False)
    movement = await visitor.get(f"/movements/{old.id}")
    assert (movement.status, "The entries are archived." in movement.text) == (200, True)
    for page in (f"/movements/{new.id}", f"/accounts/{account}?from=2020-01-01"):
        assert "are archived." not in (await visitor.get(page)).text


async def test_movement_shows_both_sides_and_what_belongs_to_it(console: Console) -> None:
    payer, account = await rich(console.service)
    _, other = await rich(console.service)
    hold = await payer.client.holds.CreateHold(
        v1.CreateHoldRequest(amount="7", to_account=other, description="Tea")
    )
    capture = await payer.client.holds.CaptureHold(v1.CaptureHoldRequest(hold=hold.id))
    visitor = await console.admin()
    shown = await visitor.get(f"/movements/{capture.id}")
    for text in ("transfer: 7.00 RUB", "Tea", f"user:{payer.user_id}", "993.00", "1\u202f007.00"):
        assert text in shown.text.replace("1 007", "1\u202f007"), text
    assert f"/holds/{hold.id}" in shown.links
    held = await visitor.get(f"/holds/{hold.id}")
    assert ("captured" in held.text, f"/movements/{capture.id}" in held.links) == (True, True)
    assert (await visitor.get(f"/accounts/{account}/holds?status=open")).text.count("Tea") == 0
    assert (await visitor.get(f"/accounts/{account}/holds")).text.count("Tea") == 1
    assert (await visitor.get(f"/movements/{hold.id}")).status == 404

    live = await visitor.get(f"/accounts/{account}/live")
    assert 'hx-trigger="every 5s"' in live.html
    assert "hx-get" not in (await visitor.get(f"/accounts/{account}/live?paused=yes")).html
    entries = await visitor.get(f"/accounts/{account}/live/entries")
    assert ("Tea" in entries.text, "<html" in entries.html) == (True, False)


async def test_audit_log_is_filtered_and_paged(console: Console) -> None:
    visitor = await console.admin()
    shown = await visitor.get("/audit?action=session.started")
    (user,) = {link for link in shown.links if link.startswith("/users/")}
    by_actor = await visitor.get(f"/audit?actor=user:{user.removeprefix('/users/')}&to=2099-01-01")
    assert "session.started" in by_actor.text
    assert "There is nothing." in (await visitor.get("/audit?to=2020-01-01")).text
    for query in ("from=x", "action=x"):
        assert (await visitor.get(f"/audit?{query}")).status == 400
    operator, (_, account) = await console.service.admin(), await rich(console.service)
    for _ in range(13):
        await operator.client.accounts.FreezeAccount(v1.FreezeAccountRequest(account=account))
        await operator.client.accounts.UnfreezeAccount(v1.UnfreezeAccountRequest(account=account))
    first = await visitor.get("/audit?action=account.frozen&target=")
    assert "Next page" not in first.text
    first = await visitor.get("/audit")
    (following,) = [link for link in first.links if "page=" in link]
    assert "session.started" in (await visitor.get(following)).text


async def test_trial_balance_is_of_now_or_of_the_beginning_of_a_day(console: Console) -> None:
    _, _ = await rich(console.service)
    visitor = await console.admin()
    shown = await visitor.get("/ledger")
    assert "Debits and credits are the same in every currency." in shown.text
    for text in ("2010 Liabilities:Users", "1010 Assets:Settlement", "accounts opened: 1"):
        assert text in shown.text, text
    past = await visitor.get("/ledger?day=2020-01-01")
    assert "2020-01-01 00:00:00" in past.text
    assert "There is nothing." in past.text
    for day in ("x", "2999-01-01"):
        assert (await visitor.get(f"/ledger?day={day}")).status == 400


async def test_keys_page_names_commands_and_published_keys(console: Console) -> None:
    shown = await (await console.admin()).get("/credentials")
    keys = await console.service.client().auth.GetJwks(v1.GetJwksRequest())
    assert keys.keys[0].kid in shown.text
    assert "balance-service service-principal list" in shown.text


async def test_approvals_say_what_was_and_what_would_be(console: Console) -> None:
    operator, owner = await console.service.admin(), await console.service.person()
    approval = await asked(operator, (await owner.open("NOK")).id, "101")
    visitor = await console.admin()
    shown = await visitor.get("/approvals")
    assert f"/acts/approve-change/{approval}" in shown.links
    assert "101.00" in shown.text
    assert approval not in (await visitor.get("/approvals?status=rejected")).text
