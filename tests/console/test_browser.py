"""The console in a real browser: by keyboard alone, on a phone, and by the rules of axe-core."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from balance_client import v1
from balance_service.operations import administration
from tests import webhooks
from tests.console.visitors import Console
from tests.e2e.test_pages import BROWSER, DRIVER, REASON, SCREENSHOTS, Page
from tests.schedules import daily, make
from tests.service import Person, rich
from tests.webhooks import LISTENING

NPM = shutil.which("npm")
INSTALL_SECONDS_MAX = 120
TABS_MAX = 80
EMAIL = "root@admin.example.com"

pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason=REASON)


class Keyboard:
    """An operator without a mouse."""

    def __init__(self, page: Page, url: str) -> None:
        from selenium.webdriver.common.keys import Keys

        self.page, self.url, self.keys = page, url, Keys
        self.driver: Any = page.driver

    def screen(self, width: int, height: int = 800, *, dark: bool = False) -> None:
        """Makes the screen a phone's, or any other."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def go_to(self, css: str, text: str = "") -> None:
        """Presses Tab until the focus is where it is wanted."""
        self.page.find(css, text)
        for _ in range(TABS_MAX):
            focused = self.driver.switch_to.active_element
            said = focused.text or focused.get_attribute("value") or ""
            matches = self.driver.execute_script(
                "return arguments[0].matches(arguments[1])", focused, css
            )
            if matches and text in said:
                return
            self.press(self.keys.TAB)
        raise AssertionError(f"no key leads to {css} {text}")

    def enter(self, css: str, text: str = "", typed: str = "") -> None:
        """Goes somewhere, types, and presses Enter; returns when the next page is there."""
        self.go_to(css, text)
        before = self.driver.find_element("css selector", "html")
        self.press(typed, self.keys.ENTER)
        self.page.wait(lambda _: is_gone(before))

    def sign_in(self, code: Callable[[], str]) -> None:
        self.open("/sign-in")
        self.enter("#email", typed=EMAIL)
        self.enter("#code", typed=code())
        self.page.find("h1", "Find")


def is_gone(element: Any) -> bool:
    from selenium.common.exceptions import StaleElementReferenceException

    try:
        element.is_enabled()
    except StaleElementReferenceException:
        return True
    return False


@pytest.fixture
def keyboard(console: Console, tmp_path: Path) -> Iterator[Keyboard]:
    page = Page(tmp_path / "profile")
    yield Keyboard(page, console.url)
    page.driver.quit()


async def customer(console: Console) -> tuple[Person, str, str]:
    """Somebody who bought tea: they, their account and the purchase."""
    admin = await console.service.admin()
    tea = v1.Service(name="Tea of the mountains", price="40")
    service = await admin.client.purchases.CreateService(v1.CreateServiceRequest(service=tea))
    person, account = await rich(console.service)
    request = v1.UpdateMeRequest(user=v1.User(first_name="Anna", last_name="Lovelace"))
    request.update_mask.paths.extend(["first_name", "last_name"])
    await person.client.users.UpdateMe(request)
    purchase = await person.client.purchases.CreatePurchase(
        v1.CreatePurchaseRequest(service=service.id)
    )
    await administration.create_admin(console.service.settings, EMAIL)
    return person, account, purchase.id


@pytest.mark.long
async def test_customer_is_found_frozen_and_refunded_by_keyboard(
    console: Console, keyboard: Keyboard
) -> None:
    person, account, _ = await customer(console)

    def work() -> None:
        keyboard.sign_in(lambda: console.service.mailbox.code(EMAIL))
        keyboard.enter("#q", typed=person.email)
        keyboard.page.find("h1", "Anna Lovelace")
        keyboard.enter(f"a[href='/accounts/{account}']")
        keyboard.enter(".acts a", "Freeze")
        keyboard.enter("#reason", typed="Reported as stolen")
        keyboard.page.find("h1", "Confirm: Freeze")
        keyboard.enter("button", "Confirm: Freeze")
        keyboard.page.find(".notice", "The account is frozen.")
        keyboard.enter("td a", "purchase")
        keyboard.enter(".acts a", "Refund the purchase")
        keyboard.go_to("#amount")
        keyboard.press("15")
        keyboard.go_to("#reason")
        keyboard.press("Cold")
        keyboard.go_to("#force")
        keyboard.press(keyboard.keys.SPACE)
        keyboard.enter("button", "See what will happen")
        keyboard.enter("button", "Confirm: Refund the purchase")
        keyboard.page.find(".notice", "The purchase is refunded.")
        assert keyboard.page.complaints() == []

    await asyncio.to_thread(work)
    found = await person.client.accounts.GetAccount(v1.GetAccountRequest(account=account))
    assert (found.balance, found.status) == ("975.00", v1.ACCOUNT_STATUS_FROZEN)


@pytest.fixture(scope="module")
def axe() -> Iterator[str]:
    """The source of axe-core."""
    if NPM is None:
        pytest.skip("npm is not here: apt-get install npm")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(Path(__file__).parent / "browser", folder, dirs_exist_ok=True)
        install = [NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        try:
            subprocess.run(install, cwd=folder, check=True, timeout=INSTALL_SECONDS_MAX)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip("the packages of tests/console/browser cannot be had")
        yield (Path(folder) / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def faults(keyboard: Keyboard, axe: str) -> list[str]:
    """What axe-core has against the page."""
    keyboard.driver.execute_script(axe)
    found = keyboard.driver.execute_async_script(
        "axe.run().then(arguments[0], (error) => arguments[0](String(error)))"
    )
    return [
        f"{fault['impact']} {fault['id']}: {[node['html'] for node in fault['nodes']]}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical", "moderate"}
    ]


def wide(keyboard: Keyboard) -> list[str]:
    """What sticks out of the screen to the right."""
    found: list[str] = keyboard.driver.execute_script(
        "const room = document.documentElement.clientWidth;"
        "return document.documentElement.scrollWidth <= room ? [] :"
        "[...document.body.querySelectorAll('*')]"
        ".filter((each) => each.getBoundingClientRect().right > room + 1)"
        ".map((each) => each.outerHTML.slice(0, 80));"
    )
    return found


@pytest.mark.long
async def test_every_page_fits_a_phone_and_the_rules_of_axe(
    console: Console, keyboard: Keyboard, axe: str
) -> None:
    person, account, purchase = await customer(console)
    hold = await person.client.holds.CreateHold(
        v1.CreateHoldRequest(amount="5", to_account=(await rich(console.service))[1])
    )
    schedule = await make(person.client, daily((await rich(console.service))[1]))
    crm = await console.service.sibling(*LISTENING)
    webhook = await webhooks.add(crm, "https://crm.example.com/hook", disabled=True)
    await crm.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=webhook.id))
    paths = (
        "/", f"/users/{person.user_id}", f"/accounts/{account}?min=1",
        f"/accounts/{account}/holds", f"/accounts/{account}/changes", f"/accounts/{account}/live",
        f"/movements/{purchase}", f"/holds/{hold.id}", f"/acts/set-limits/{account}",
        f"/acts/set-sub-accounts/{account}", f"/acts/freeze-account/{account}",
        "/approvals", "/catalogue", "/acts/create-service/new", "/credentials", "/audit",
        "/ledger", "/none", "/accounts/none",
        "/schedules", f"/schedules/{schedule.id}", f"/acts/pause-schedule/{schedule.id}",
        "/webhooks", f"/webhooks/{webhook.id}", f"/acts/rotate-webhook-secret/{webhook.id}",
    )  # fmt: skip

    def look(path: str) -> None:
        keyboard.page.find("h1")
        for width in (320, 360, 1280):
            keyboard.screen(width)
            assert wide(keyboard) == [], (path, width)
        for dark in (False, True):
            keyboard.screen(360, dark=dark)
            assert faults(keyboard, axe) == [], (path, dark)

    def read() -> None:
        keyboard.open("/sign-in")
        look("/sign-in")
        keyboard.sign_in(lambda: console.service.mailbox.code(EMAIL))
        for language in ("Русский", "English"):
            for path in paths:
                keyboard.open(path)
                look(path)
            keyboard.open("/")
            keyboard.enter("header button", language)
        keyboard.open(f"/acts/freeze-account/{account}")
        keyboard.enter("#reason", typed="Reported as stolen")
        look("confirm")

    await asyncio.to_thread(read)


@pytest.mark.long
async def test_live_page_shows_what_comes(console: Console, keyboard: Keyboard) -> None:
    person, account, _ = await customer(console)
    loop = asyncio.get_running_loop()

    def watch() -> None:
        keyboard.sign_in(lambda: console.service.mailbox.code(EMAIL))
        keyboard.open(f"/accounts/{account}/live")
        keyboard.page.find("#entries", "purchase")
        asyncio.run_coroutine_threadsafe(person.deposit("77", account), loop).result(30)
        keyboard.page.find("#entries td", "77.00")
        assert keyboard.page.complaints() == []

    await asyncio.to_thread(watch)


@pytest.mark.skipif(not SCREENSHOTS, reason="no folder is named for them: SCREENSHOTS")
@pytest.mark.long
async def test_screenshots_of_the_documentation(console: Console, keyboard: Keyboard) -> None:
    person, account, purchase = await customer(console)
    for number in (300, 120, 80, 45):
        await person.deposit(str(number), account)
        request = v1.CreateWithdrawalRequest(amount=str(number // 2), description="Card 4711")
        await person.client.withdrawals.CreateWithdrawal(request)

    def show() -> None:
        keyboard.sign_in(lambda: console.service.mailbox.code(EMAIL))
        keyboard.screen(760, 470)
        keyboard.open(f"/accounts/{account}")
        keyboard.page.find(".chart")
        keyboard.page.keep("console-account")
        keyboard.screen(360, 640)
        keyboard.page.keep("console-phone")
        keyboard.screen(860, 520)
        keyboard.open(f"/acts/refund-purchase/{purchase}")
        keyboard.go_to("#amount")
        keyboard.press("15")
        keyboard.enter("#reason", typed="The tea was cold")
        keyboard.page.find("h1", "Confirm")
        keyboard.page.keep("console-confirm")

    await asyncio.to_thread(show)
