"""The Go client, packed as a module and called from programs that require it alone."""

import pytest

from tests.clients import scenes
from tests.clients.conftest import Door
from tests.clients.packages import GO, PROGRAMS, GoProject, guide, page, readme, tell
from tests.service import Service, StartService
from tests.tokens import TokenProbe

# One process packs the client, whatever others do.
pytestmark = pytest.mark.xdist_group("go")

DOORS = [
    "together 50 1000.00",
    "repeated 36 1001.00 [true]",
    "watched 1001.00 1002.00",
    "streamed 300 INSUFFICIENT_FUNDS 999.00",
    "refused InvalidArgument INVALID_FIELD account true",
    "status InvalidArgument 3",
    "deadline DeadlineExceeded",
    "cancelled Canceled",
    "paged 303",
    "fresh 1000.00 false true true",
    "fresh 1000.00 false true true",
    "told {true 2026-11-29 07:00:00.123 +0000 UTC }",
]


def test_client_is_formatted_and_vetted(go: GoProject) -> None:
    go.vet_client()


def test_programs_of_the_documentation_compile(go: GoProject) -> None:
    go.vet("page", page("go") + "\nfunc main() {}\n")
    for name in ("quickstart", "handling-refusals"):
        go.vet(name, guide("go", name) + "\nfunc main() {}\n")


@pytest.mark.usefixtures("ephemeral_home")
def test_test_of_the_documentation_passes(go: GoProject, monkeypatch: pytest.MonkeyPatch) -> None:
    # A variable of a caller's own is not taken for a setting of the service.
    monkeypatch.setenv("BALANCE_TARGET", "balance:50051")
    assert "--- PASS: TestAccountIsOpened" in go.test("shop", guide("go", "testing"))


async def test_ten_lines_move_money(go: GoProject, service: Service) -> None:
    program = go.build("readme", readme("go", GO, service.target))
    caller = await scenes.billing(service)
    said = await tell(program, SECRET=caller.secret, ACCOUNT=caller.accounts[0])
    assert said == ["1100.50"]


async def test_story_is_told(go: GoProject, service: Service) -> None:
    program = go.build("story", GO / "examples/story/main.go")
    caller = await scenes.billing(service, "")
    await scenes.offer_coffee(service)
    assert await tell(program, **scenes.story(caller, service.target)) == scenes.STORY


async def test_every_kind_of_call_through_either_door(
    go: GoProject, service: Service, door: Door
) -> None:
    program = go.build("doors", PROGRAMS / "go/doors.go")
    caller = await scenes.billing(service)
    assert await tell(program, **scenes.doors(caller, door.service.target, door.ca)) == DOORS


async def test_calls_outlive_trouble_with_one_token_for_all(
    go: GoProject, service: Service, probe: TokenProbe
) -> None:
    program = go.build("doors", PROGRAMS / "go/doors.go")
    caller = await scenes.billing(service)
    with scenes.trouble(service, probe):
        assert await tell(program, **scenes.doors(caller, service.target)) == DOORS


@pytest.mark.usefixtures("within")
async def test_call_waits_for_a_connection(go: GoProject, start_service: StartService) -> None:
    program = go.build("waits", PROGRAMS / "go/waits.go")
    said = await scenes.told_to_who_came_first(start_service, program)
    assert said == ["found 0"]


async def test_streams_whose_token_is_refused(
    go: GoProject, service: Service, probe: TokenProbe
) -> None:
    program = go.build("renewed", PROGRAMS / "go/renewed.go")
    caller = await scenes.billing(service)
    probe.expired = 1
    said = await tell(program, **scenes.doors(caller, service.target))
    assert said == ["watched 1000.00 <nil>", "streamed 999.00 <nil>", "streamed 999.00 <nil>"]
    assert probe.sign_ins == 2


async def test_users_token_is_renewed_once_for_all_calls(
    go: GoProject, start_service: StartService, probe: TokenProbe
) -> None:
    # Within the grace, a used refresh token is answered again.
    service = await start_service(refresh_grace_seconds=0)
    program = go.build("user", PROGRAMS / "go/user.go")
    environment = await scenes.user(service, probe, service.target)
    assert await tell(program, **environment) == scenes.USER
    assert len(probe.refreshes) == 2
