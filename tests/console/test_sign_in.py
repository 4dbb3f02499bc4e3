"""Signing in to the console, staying signed in, and what keeps others out."""

import logging
import re

import pytest

from balance_client import v1
from balance_service.console.sessions import ABSOLUTE_SECONDS, IDLE_SECONDS, Seal
from balance_service.operations import administration
from tests.authenticators import enrol
from tests.console.visitors import SECRET, Console, Visitor, serve
from tests.service import Service, StartService, reason, somebody

EVERY_PAGE = (
    "/", "/users/x", "/accounts/x", "/accounts/x/holds", "/accounts/x/changes", "/accounts/x/live",
    "/accounts/x/live/entries", "/movements/x", "/holds/x", "/acts/freeze-account/x", "/approvals",
    "/catalogue", "/credentials", "/audit", "/ledger", "/schedules", "/schedules/x",
    "/webhooks", "/webhooks/x",
)  # fmt: skip


def refresh_token(visitor: Visitor) -> str:
    session = Seal(SECRET).open(visitor.cookie)
    assert session
    assert session.operator
    return session.operator.refresh_token


async def test_admin_signs_in_by_a_code_and_out_again(console: Console) -> None:
    visitor = await console.admin()
    (cookie,) = visitor.http.cookie_jar
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert not cookie["secure"]
    shown = await visitor.get()
    assert "root@admin.example.com" in shown.text
    assert {"/approvals", "/audit", "/credentials"} <= set(shown.links)

    kept, token = visitor.cookie, refresh_token(visitor)
    left = await visitor.post("/sign-out", shown.form(set(), ("", "")).fields)
    assert (left.path, "You are signed out." in left.text) == ("/sign-in", True)
    auth = console.service.client().auth
    again = v1.RefreshTokenRequest(refresh_token=token)
    assert await reason(auth.RefreshToken(again)) == "REFRESH_TOKEN_INVALID"
    # A cookie that somebody kept is good for nothing once the service knows.
    thief = console.visitor()
    thief.http.cookie_jar.update_cookies({"console_session": kept})
    console.late[0] = 9.9 * 60
    assert (await thief.get("/catalogue")).path == "/sign-in"


async def test_second_factor_is_asked_for_after_the_code(console: Console) -> None:
    email = "root@admin.example.com"
    await administration.create_admin(console.service.settings, email)
    authenticator = await enrol(await console.service.person(email))
    console.let_codes_be_asked_for()
    visitor = console.visitor()
    shown = await visitor.submit(await visitor.get("/sign-in"), email=email)
    wrong = await visitor.submit(shown, code="00000000")
    assert (wrong.status, "CONFIRMATION_CODE_INVALID" in wrong.text) == (401, True)
    shown = await visitor.submit(wrong, code=console.service.mailbox.code(email))
    wrong = await visitor.submit(shown, second_factor="000000")
    assert (wrong.status, "SECOND_FACTOR_INVALID" in wrong.text) == (401, True)
    shown = await visitor.submit(wrong, second_factor=authenticator.recovery_codes[0])
    assert (shown.status, shown.path) == (200, "/")


async def test_strangers_are_asked_to_sign_in_and_go_on_where_they_wanted(
    console: Console,
) -> None:
    visitor = console.visitor()
    for path in EVERY_PAGE:
        assert (await visitor.get(path)).path == "/sign-in", path
    email = "root@admin.example.com"
    await administration.create_admin(console.service.settings, email)
    shown = await visitor.submit(await visitor.get("/catalogue?currency=RUB"), email=email)
    shown = await visitor.submit(shown, code=console.service.mailbox.code(email))
    assert shown.path == "/catalogue?currency=RUB"


async def test_users_are_not_let_in_and_moderators_see_what_they_may(console: Console) -> None:
    person, account = await somebody(console.service, "100")
    visitor, shown = await console.sign_in(person.email)
    assert (shown.status, "moderators and admins" in shown.text) == (403, True)
    assert (await visitor.get("/")).path == "/sign-in"

    moderator = await console.moderator()
    shown = await moderator.get(f"/accounts/{account}")
    assert (shown.status, "100.00 RUB" in shown.text) == (200, True)
    assert not [link for link in shown.links if link.startswith(("/acts", "/audit"))]
    for path in ("/approvals", "/audit", "/ledger", f"/users/{person.user_id}"):
        refused = await moderator.get(path)
        assert (refused.status, "PERMISSION_MISSING" in refused.text) == (403, True), path
    refused = await moderator.submit(
        await moderator.get(f"/acts/freeze-account/{account}"), ("step", "check"), reason="Mine"
    )
    assert (refused.status, "PERMISSION_MISSING" in refused.text) == (403, True)


async def test_forms_of_other_sites_are_refused(console: Console) -> None:
    _, account = await somebody(console.service)
    visitor = await console.admin()
    form = (await visitor.get(f"/acts/freeze-account/{account}")).form({"request_id"}).fields
    form |= {"step": "do", "reason": "Forged"}
    path = f"/acts/freeze-account/{account}"
    forgeries: tuple[tuple[dict[str, str], dict[str, str]], ...] = (
        (form | {"csrf": "x" * 32}, {}),
        ({name: value for name, value in form.items() if name != "csrf"}, {}),
        (form, {"origin": "https://evil.example.com"}),
        (form, {"origin": "null"}),
        (form, {"origin": ""}),
        (form, {"sec_fetch_site": "cross-site"}),
        (form, {"sec_fetch_site": "same-site"}),
    )
    for fields, headers in forgeries:
        shown = await visitor.post(path, fields, **headers)
        assert (shown.status, "did not come from this console" in shown.text) == (403, True)
    assert "frozen" not in (await visitor.get(f"/accounts/{account}")).text
    assert (await visitor.post(path, {"large": "x" * 70_000})).status == 400
    assert (await visitor.post(path, form)).path == f"/accounts/{account}"


async def test_sessions_end_when_idle_and_after_a_day_at_work(console: Console) -> None:
    _, account = await somebody(console.service)
    visitor = await console.admin()
    token = refresh_token(visitor)
    console.late[0] += IDLE_SECONDS - 60
    # An open page that asks by itself does not keep the session alive, though it renews the token.
    polled = await visitor.get(f"/accounts/{account}/live/entries")
    assert (polled.status, refresh_token(visitor) != token) == (200, True)
    console.late[0] += 120
    polled = await visitor.get(f"/accounts/{account}/live/entries", hx_request="true")
    assert (polled.status, polled.headers["hx-redirect"]) == (204, "/sign-in")
    assert "Your session has ended" in (await visitor.get("/sign-in")).text

    visitor = await console.admin("second")
    for _ in range(ABSOLUTE_SECONDS // (IDLE_SECONDS - 60)):
        console.late[0] += IDLE_SECONDS - 60
        assert (await visitor.get("/catalogue")).path == "/catalogue"
    console.late[0] += IDLE_SECONDS - 60
    assert (await visitor.get("/catalogue")).path == "/sign-in"


async def test_pages_are_in_the_language_that_is_preferred_or_chosen(console: Console) -> None:
    visitor = await console.admin(language="ru")
    shown = await visitor.get("/catalogue")
    assert ('<html lang="ru">' in shown.html, "Каталог" in shown.text) == (True, True)
    refused = await visitor.get("/accounts/none")
    assert (refused.status, "INVALID_FIELD" in refused.text) == (400, True)
    shown = await visitor.submit(await visitor.get("/catalogue"), ("language", "en"))
    assert (shown.path, '<html lang="en">' in shown.html) == ("/catalogue", True)
    away = shown.form({"back"}).fields | {"language": "ru", "back": "//evil.example.com"}
    assert (await visitor.post("/language", away)).path == "/evil.example.com"
    assert visitor.visited[-1].startswith(console.url)


async def test_link_from_elsewhere_does_not_sign_out(console: Console) -> None:
    stranger = console.visitor()
    arrived = await stranger.get("/catalogue?currency=RUB", sec_fetch_site="cross-site")
    assert 'content="0;url=/catalogue?currency=RUB"' in arrived.html
    assert not list(stranger.http.cookie_jar)
    # Browsers take two slashes for the beginning of another site's address.
    for path in ("//evil.example.com", "/%09/evil.example.com", "/%5Cevil.example.com"):
        arrived = await stranger.get(path, sec_fetch_site="cross-site")
        assert re.search(r'content="0;url=/[^/\\\s]', arrived.html), path


async def test_console_can_be_mounted_below_a_path(service: Service, within: None) -> None:
    async with serve(service, "/operators") as console:
        email = "root@admin.example.com"
        await administration.create_admin(service.settings, email)
        visitor = console.visitor()
        shown = await visitor.submit(await visitor.get("/operators/"), email=email)
        shown = await visitor.submit(shown, code=service.mailbox.code(email))
        assert (shown.status, shown.path) == (200, "/operators/")
        assert all(link.startswith(("/operators/", "#")) for link in shown.links)
        (cookie,) = visitor.http.cookie_jar
        assert cookie["path"] == "/operators"
        assert (await visitor.get("/operators/assets/console.css")).status == 200


async def test_answers_are_kept_from_frames_caches_and_other_scripts(console: Console) -> None:
    visitor = await console.admin()
    for path in ("/", "/none", "/assets/console.css", "/assets/htmx.min.js", "/assets/none"):
        headers = (await visitor.get(path)).headers
        assert "unsafe" not in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
    assert (await visitor.get("/")).headers["cache-control"] == "no-store"
    shown = await visitor.get("/none")
    assert (shown.status, "There is no such page." in shown.text) == (404, True)


async def test_no_secret_is_logged_or_in_an_address(
    console: Console, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    _, account = await somebody(console.service, "100")
    visitor = await console.admin()
    await visitor.act("freeze-account", account, reason="A secret reason")
    await visitor.submit(await visitor.get("/"), q="root@admin.example.com")
    session = Seal(SECRET).open(visitor.cookie)
    assert session
    assert session.operator
    code = console.service.mailbox.code("root@admin.example.com")
    said = [caplog.text, *capfd.readouterr(), *visitor.visited]
    secrets = (code, session.csrf, session.operator.access_token, session.operator.refresh_token,
               visitor.cookie, "root@admin", "A secret reason")  # fmt: skip
    for secret in secrets:
        assert not [text for text in said if secret in text]


async def test_service_hears_where_the_operator_is(
    start_service: StartService, within: None
) -> None:
    service = await start_service(trusted_proxies="127.0.0.1/32")
    async with serve(service) as console:
        email = "root@admin.example.com"
        await administration.create_admin(service.settings, email)
        visitor, here = console.visitor(), {"x_forwarded_for": "203.0.113.9"}
        form = (await visitor.get("/sign-in")).form({"email"}).fields
        await visitor.post("/sign-in", form | {"email": email}, **here)
        code = service.mailbox.code(email)
        await visitor.post("/sign-in", {"csrf": form["csrf"], "code": code}, **here)
        assert "203.0.113.9" in (await visitor.get("/audit?action=session.started")).text
