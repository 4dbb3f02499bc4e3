"""What Envoy's bridge from the Connect protocol leaves undone."""

import base64
from collections.abc import Iterable
from typing import Any

from google.rpc import status_pb2
from starlette.types import Scope, Send

from balance_service.calls.refusals import DETAILS_KEY
from balance_service.server.envoy.filters import CONNECT_HEADER

_DETAILS, _MARK = DETAILS_KEY.encode(), CONNECT_HEADER.encode()


def is_connect(scope: Scope) -> bool:
    """Whether a request came by the Connect protocol."""
    return any(name == _MARK for name, _ in scope["headers"])


def name_details(send: Send) -> Send:
    """Sends a refusal's details under the names of their types, as Connect has them.

    The bridge copies what stands in `google.protobuf.Any`, which is a URL that ends in the name.
    """

    async def send_named(event: Any) -> None:  # noqa: ANN401 - ASGI's messages are dicts
        if "headers" in event:
            event = {**event, "headers": _name_in(event["headers"])}
        await send(event)

    return send_named


def _name_in(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, _name(value) if name == _DETAILS else value) for name, value in headers]


def _name(encoded: bytes) -> bytes:
    status = status_pb2.Status.FromString(base64.b64decode(encoded + b"=="))
    for detail in status.details:
        detail.type_url = detail.type_url.rpartition("/")[2]
    return base64.b64encode(status.SerializeToString()).rstrip(b"=")
