"""The TypeScript client, packed for npm and called from programs that install it alone."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from balance_service.server.envoy import choice
from tests.clients import scenes
from tests.clients.conftest import Door
from tests.clients.packages import (
    PROGRAMS,
    TYPESCRIPT,
    TypeScriptProject,
    guide,
    page,
    readme,
    tell,
)
from tests.e2e.test_pages import BROWSER, DRIVER, REASON, Page
from tests.http import served
from tests.service import Service, StartService
from tests.tokens import TokenProbe

# One process packs the client, whatever others do.
pytestmark = pytest.mark.xdist_group("typescript")

DOORS = [
    "together 50 1000.00",
    "repeated 36 1001.00 true",
    "watched 1001.00 1002.00",
    "streamed 300 INSUFFICIENT_FUNDS 999.00",
    "refused InvalidArgument INVALID_FIELD account true",
    "deadline DeadlineExceeded",
    "cancelled Canceled",
    "paged 303",
    "fresh 1000.00 false undefined true",
    "fresh 1000.00 false undefined true",
    "told true 2026-11-29T07:00:00.123Z ",
]
WRONG = """
import { type BalanceClient, type BalanceError, Reason } from "balance-ledger-client";

export async function wrong(balance: BalanceClient, error: BalanceError): Promise<void> {
  await balance.deposits.createDeposits({});
  await balance.deposits.createDeposit({ amount: 1 });
  (await balance.deposits.createDeposit({})).balanse;
  error.raeson;
  Reason.INSUFFICIENT_FUND;
}
"""


def test_package_holds_the_client_and_nothing_else(typescript: TypeScriptProject) -> None:
    held = typescript.contents()
    assert {"package.json", "README.md", "LICENSE"} <= held
    rest = {name for name in held if not re.fullmatch(r"dist/.*\.(js|d\.ts)", name)}
    assert rest == {"package.json", "README.md", "LICENSE"}
    exports = json.loads((TYPESCRIPT / "package.json").read_text())["exports"]
    files = {file.removeprefix("./") for entry in exports.values() for file in entry.values()}
    assert files <= held


def test_programs_of_the_documentation_compile(typescript: TypeScriptProject) -> None:
    typescript.build("documented", page("ts"))
    for name in ("quickstart", "handling-refusals"):
        typescript.build(name, guide("ts", name))


@pytest.mark.usefixtures("ephemeral_home")
async def test_test_of_the_documentation_runs(typescript: TypeScriptProject) -> None:
    program = guide("ts", "testing") + "\nconsole.log(await openAccount());\n"
    said = await tell("node", typescript.build("shop", program), BALANCE_TARGET="balance:50051")
    assert said == ["0.00"]


def test_wrong_programs_do_not_compile(typescript: TypeScriptProject) -> None:
    done = typescript.compile("wrong", WRONG)
    lines = {int(line) for line in re.findall(r"^wrong\.ts\((\d+),", done.stdout, re.MULTILINE)}
    assert lines == set(range(5, 10)), done.stdout


async def test_ten_lines_move_money(typescript: TypeScriptProject, service: Service) -> None:
    program = typescript.build("readme", readme("ts", TYPESCRIPT, service.target))
    caller = await scenes.billing(service)
    said = await tell("node", program, SECRET=caller.secret, ACCOUNT=caller.accounts[0])
    assert said == ["1100.50", "2n 100.50 1100.50", "1n 1000.00 1000.00"]


async def test_story_is_told(typescript: TypeScriptProject, service: Service) -> None:
    program = typescript.build("story", TYPESCRIPT / "examples/story.ts")
    caller = await scenes.billing(service, "")
    await scenes.offer_coffee(service)
    environment = scenes.story(caller, f"http://{service.target}")
    assert await tell("node", program, **environment) == scenes.STORY


async def test_every_kind_of_call_through_either_door(
    typescript: TypeScriptProject, service: Service, door: Door
) -> None:
    program = typescript.build("doors", PROGRAMS / "typescript/doors.ts")
    caller = await scenes.billing(service)
    url = f"{'https' if door.ca else 'http'}://{door.service.target}"
    assert await tell("node", program, **scenes.doors(caller, url, door.ca)) == DOORS


async def test_calls_outlive_trouble_with_one_token_for_all(
    typescript: TypeScriptProject, service: Service, probe: TokenProbe
) -> None:
    program = typescript.build("doors", PROGRAMS / "typescript/doors.ts")
    caller = await scenes.billing(service)
    with scenes.trouble(service, probe):
        environment = scenes.doors(caller, f"http://{service.target}")
        assert await tell("node", program, **environment) == DOORS


@pytest.mark.usefixtures("within")
async def test_call_waits_for_a_connection(
    typescript: TypeScriptProject, start_service: StartService
) -> None:
    program = typescript.build("waits", PROGRAMS / "typescript/waits.ts")
    said = await scenes.told_to_who_came_first(start_service, "node", program, scheme="http://")
    assert said == ["found 0"]


async def test_streams_whose_token_is_refused(
    typescript: TypeScriptProject, service: Service, probe: TokenProbe
) -> None:
    program = typescript.build("renewed", PROGRAMS / "typescript/renewed.ts")
    caller = await scenes.billing(service)
    for kind, said in (("watch", "1000.00"), ("stream", "999.00")):
        probe.expired, probe.sign_ins = 1, 0
        environment = scenes.doors(caller, f"http://{service.target}")
        assert await tell("node", program, KIND=kind, **environment) == [said]
        assert probe.sign_ins == 2


async def test_users_token_is_renewed_once_for_all_calls(
    typescript: TypeScriptProject, start_service: StartService, probe: TokenProbe
) -> None:
    # Within the grace, a used refresh token is answered again.
    service = await start_service(refresh_grace_seconds=0)
    program = typescript.build("user", PROGRAMS / "typescript/user.ts")
    environment = await scenes.user(service, probe, f"http://{service.target}")
    assert await tell("node", program, **environment) == scenes.USER
    assert len(probe.refreshes) == 2


@pytest.mark.skipif(bool(choice.find_obstacle()), reason="no Envoy")
@pytest.mark.skipif(not (BROWSER and DRIVER), reason=REASON)
async def test_page_calls_by_both_protocols(
    typescript: TypeScriptProject, start_envoy: StartService, tmp_path: Path
) -> None:
    """In a real browser, which loads the package's modules as they are."""
    typescript.build("page", PROGRAMS / "typescript/page.ts")

    def speak(origin: str, *arguments: str) -> list[str]:
        page = Page(tmp_path / "profile")
        try:
            page.driver.get(origin)
            # Selenium's own argument, after the others, takes the result.
            call = (
                "const told = arguments[arguments.length - 1];"
                'import("/page.js").then(({speak}) => speak(...arguments))'
                ".then(told, (error) => told(String(error)))"
            )
            return list(page.driver.execute_async_script(call, *arguments))
        finally:
            page.driver.quit()

    with served(typescript.make_page()) as origin:
        service = await start_envoy(connect=True, http_cors_origins=origin)
        anna = await service.person()
        account = await anna.open()
        said = await asyncio.to_thread(
            speak, origin, service.http.url, anna.token.token, account.id
        )
    assert said == [
        "grpc-web 1.00 INSUFFICIENT_FUNDS 99999.00 1.00 1",
        "connect 2.00 INSUFFICIENT_FUNDS 99998.00 2.00 2",
    ]
