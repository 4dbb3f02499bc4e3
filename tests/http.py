"""HTTP in tests: a client of a service's gateway, and the requests that messages stand for."""

import contextlib
import functools
import http.server
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from google.protobuf import json_format
from google.protobuf.message import Message
from yarl import URL

from balance_service.calls.methods import load_contract
from balance_service.gateway import routes
from balance_service.gateway.routes import Binding

BINDINGS = tuple(routes.read_bindings(load_contract()))
BY_METHOD = {binding.method.full_name: binding for binding in reversed(BINDINGS)}


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def reason(self) -> str:
        """The reason of a refusal."""
        return str(self.detail("ErrorInfo")["reason"])

    @property
    def fields(self) -> list[str]:
        """The fields that a refusal names."""
        return [violation["field"] for violation in self.detail("BadRequest")["field_violations"]]

    def detail(self, name: str) -> dict[str, Any]:
        for detail in self.json["details"]:
            if detail["@type"] == f"type.googleapis.com/google.rpc.{name}":
                found: dict[str, Any] = detail
                return found
        raise KeyError(name)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(20), cookie_jar=aiohttp.DummyCookieJar()
    )


@dataclass
class Http:
    """Calls a gateway as somebody, or as nobody."""

    url: str
    token: str = ""
    client: aiohttp.ClientSession = field(default_factory=_session)

    def signed_in(self, token: str) -> "Http":
        return Http(self.url, token, self.client)

    async def __call__(
        self, verb: str, path: str, body: object = None, /, **headers: str
    ) -> Answer:
        """A request.

        Args:
            verb: In capitals.
            path: With its query.
            body: Sent as it is if it is text or bytes, else as JSON; None for no body.
            headers: Names with underscores for hyphens.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("authorization", f"Bearer {self.token}")
        if body is not None:
            sent.setdefault("content-type", "application/json")
            if isinstance(body, dict | list):
                body = json.dumps(body)
        url = URL(self.url + path, encoded=True)
        async with self.client.request(verb, url, data=body, headers=sent) as answer:
            return Answer(answer.status, answer.headers, await answer.text())

    @contextlib.asynccontextmanager
    async def stream(self, path: str, accept: str = "*/*") -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a GET, to be read as it comes."""
        headers = {"authorization": f"Bearer {self.token}", "accept": accept}
        async with self.client.get(self.url + path, headers=headers) as answer:
            yield answer

    async def call(self, binding: Binding, request: Message, **headers: str) -> Answer:
        """The call that a message stands for."""
        path, body = as_http(binding, request)
        return await self(binding.verb, path, body, **headers)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base has it
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A server of the files in a folder; its origin."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def as_http(binding: Binding, request: Message) -> tuple[str, object]:
    """A message as a path with its query, and a body: the transcoding backwards."""
    data = json_format.MessageToDict(request, preserving_proto_field_name=True)
    path = binding.template
    for name in binding.variables:
        path = path.replace(f"{{{name}}}", quote(str(data.pop(name)), safe=""))
    body: object = None
    if binding.body == "*":
        body, data = data, {}
    elif binding.body:
        body = data.pop(binding.body, {})
    query = urlencode(list(_flat(data, "")))
    return f"{path}?{query}" if query else path, body


def _flat(data: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield from ((prefix + name, str(item)) for item in value)
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            yield prefix + name, text
