"""The service called from a page of another origin, by the clients that there are for browsers."""

import asyncio
import base64
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

from balance_service._generated.balance.v1 import account_pb2
from balance_service.config import Settings
from balance_service.server.envoy import choice
from tests.e2e.test_pages import BROWSER, DRIVER, REASON, Page
from tests.http import served
from tests.service import start_beside, stop_service

SOURCES = Path(__file__).parent / "browser"
NPM = shutil.which("npm")
INSTALL_SECONDS_MAX = 120
INVALID_ARGUMENT = 3

pytestmark = [
    pytest.mark.skipif(bool(choice.find_obstacle()), reason="no Envoy"),
    pytest.mark.skipif(not (BROWSER and DRIVER), reason=REASON),
    pytest.mark.skipif(NPM is None, reason="npm is not here: apt-get install npm"),
]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page is served, with the clients of `package.json` in it."""
    folder = tmp_path_factory.mktemp("page")
    for source in SOURCES.iterdir():
        shutil.copy(source, folder)
    assert NPM
    install = [NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        subprocess.run(install, cwd=folder, check=True, timeout=INSTALL_SECONDS_MAX)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("the packages of tests/e2e/browser cannot be had")
    bundle = ["node_modules/.bin/esbuild", "page.js", "--bundle", "--outfile=bundle.js"]
    subprocess.run([*bundle, "--log-level=error"], cwd=folder, check=True)
    (folder / "index.html").write_text('<!doctype html><script src="bundle.js"></script>')
    with served(folder) as origin:
        yield origin


def contract() -> str:
    """The descriptors that a client needs, as base64."""
    files: dict[str, FileDescriptorProto] = {}

    def add(file: Any) -> None:
        if file.name not in files:
            for dependency in file.dependencies:
                add(dependency)
            files[file.name] = FileDescriptorProto.FromString(file.serialized_pb)
            name_in_json(files[file.name].message_type)

    for module in (account_pb2, error_details_pb2, status_pb2):
        add(module.DESCRIPTOR)
    return base64.b64encode(FileDescriptorSet(file=files.values()).SerializeToString()).decode()


def name_in_json(messages: Iterable[DescriptorProto]) -> None:
    """Gives fields their names in JSON, which Python's descriptors leave out."""
    for message in messages:
        name_in_json(message.nested_type)
        for field in message.field:
            first, *others = field.name.split("_")
            field.json_name = first + "".join(other.capitalize() for other in others)


async def test_page_calls_watches_and_is_refused(
    service_settings: Settings, origin: str, tmp_path: Path
) -> None:
    changes = {"door": "envoy", "http_cors_origins": origin, "connect": True}
    service = await start_beside(service_settings.model_copy(update=changes))
    person = await service.person()
    account = await person.open()
    await person.deposit("12.50", account.id)

    def speak() -> dict[str, Any]:
        page = Page(tmp_path / "profile")
        try:
            page.driver.get(origin)
            given = (contract(), service.http.url, person.token.token, account.id)
            # Selenium's own argument, after those of `speak`, takes the result.
            call = "speak(...arguments).then(arguments[5], (e) => arguments[5](String(e)))"
            return {
                client: page.driver.execute_async_script(call, client, *given)
                for client in ("connect", "grpc-web", "google")
            }
        finally:
            page.driver.quit()

    said = await asyncio.to_thread(speak)
    await stop_service(service)
    refusal = {"code": INVALID_ARGUMENT, "reason": "INVALID_FIELD", "fields": ["account"]}
    heard = {"balance": "12.50", "watched": "12.50", "refusals": [refusal, refusal]}
    assert said == {"connect": heard, "grpc-web": heard, "google": heard}
