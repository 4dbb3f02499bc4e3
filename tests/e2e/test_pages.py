"""The documentation's pages in a real browser, which can reach nothing but the service."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service import Service

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
REASON = "chromium and chromedriver are not here: apt-get install chromium chromium-driver"
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason=REASON)
# Where the screenshots of docs/ are made anew, if it is said.
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")
PATIENCE_SECONDS = 120


class Page:
    """A browser's one window."""

    def __init__(self, profile: Path) -> None:
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service as Driver

        options = ChromeOptions()
        options.binary_location = BROWSER or ""
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--window-size=1280,1500",
            f"--user-data-dir={profile}",
            # Only the service can be reached, so that nothing can come from elsewhere.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = Chrome(options=options, service=Driver(DRIVER))

    def find(self, css: str, text: str = "") -> Any:
        """The first element that a selector finds and that has a text, once it is there."""

        def present(driver: Any) -> Any:
            for element in driver.find_elements("css selector", css):
                if text in (element.text or element.get_attribute("value") or ""):
                    return element
            return None

        return self.wait(present)

    def wait(self, holds: Callable[[Any], Any]) -> Any:
        """What a condition gives, once that is something."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, PATIENCE_SECONDS).until(holds)

    def call(self, operation: str, body: str = "") -> tuple[int, str]:
        """Tries an operation out on the page of Swagger UI: status and answer."""
        block = self.find(f"[id$={operation}]")
        if "is-open" not in block.get_attribute("class"):
            self._click(self.find(f"[id$={operation}] .opblock-summary-control"))
        if body:
            area = self.find(f"[id$={operation}] textarea.body-param__text")
            self.driver.execute_script(
                "const set = Object.getOwnPropertyDescriptor("
                "HTMLTextAreaElement.prototype, 'value').set;"
                "set.call(arguments[0], arguments[1]);"
                "arguments[0].dispatchEvent(new Event('input', {bubbles: true}));",
                area,
                body,
            )
        self._click(self.find(f"[id$={operation}] .btn.execute"))
        answer = self.find(f"[id$={operation}] .live-responses-table .response")
        status = self.find(
            f"[id$={operation}] .live-responses-table .response-col_status", "0"
        ).text
        return int(status.split()[0]), answer.text

    def _click(self, element: Any) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        self.driver.execute_script("arguments[0].click()", element)

    def complaints(self) -> list[str]:
        """What the browser's console has against the page."""
        driver: Any = self.driver
        return [
            entry["message"]
            for entry in driver.get_log("browser")
            if entry["level"] == "SEVERE" and "status of 40" not in entry["message"]
        ]

    def keep(self, name: str) -> None:
        if SCREENSHOTS:
            self.driver.save_screenshot(f"{SCREENSHOTS}/{name}.png")


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    found = Page(tmp_path / "profile")
    yield found
    found.driver.quit()


async def test_swagger_ui_tells_the_demo_story(service: Service, page: Page) -> None:
    admin = await service.admin()
    await admin.http("POST", "/api/v1/services", {"name": "Tea", "price": "40"})

    def sign_in() -> None:
        page.driver.get(f"{service.http.url}/swagger/")
        status, answer = page.call("SendConfirmationCode", '{"email": "anna@example.com"}')
        assert (status, "anna@example.com" in answer) == (200, True)

    def go_on() -> None:
        code = service.mailbox.code("anna@example.com")
        body = f'{{"email": "anna@example.com", "confirmation_code": "{code}"}}'
        assert page.call("CreateToken", body)[0] == 200
        assert page.call("CreateAccount")[0] == 201
        status, answer = page.call("CreateDeposit", '{"amount": "100.50", "description": "Salary"}')
        assert (status, '"balance": "100.50"' in answer) == (201, True)
        status, answer = page.call("CreateWithdrawal", '{"amount": "1000"}')
        assert (status, "INSUFFICIENT_FUNDS" in answer) == (402, True)
        page.driver.execute_script("window.scrollTo(0, 0)")
        page.keep("swagger")
        assert page.complaints() == []

    await asyncio.to_thread(sign_in)
    await asyncio.to_thread(go_on)


async def test_redoc_shows_the_contract(service: Service, page: Page) -> None:
    def read() -> None:
        page.driver.get(f"{service.http.url}/redoc/")
        page.find("h1", "Balance service")
        page.find("h2", "Adds money to an account")
        page.find("[role=menuitem]", "DepositService")
        page.keep("redoc")
        assert [text for text in page.complaints() if "cdn.redoc.ly" not in text] == []

    await asyncio.to_thread(read)


async def test_pages_load_nothing_from_elsewhere(service: Service) -> None:
    for name in ("swagger", "redoc"):
        for path in (f"/{name}", f"/{name}/"):
            answer = await service.http("GET", path)
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "http" not in answer.text
    assert (await service.http("GET", "/assets/swagger-ui.css")).status == 200
    assert (await service.http("GET", "/assets/../site.py")).status == 404
