"""A refusal that is made once and only sent, for calls of which nothing else is read."""

import contextlib
from typing import Any

from google.rpc import code_pb2
from starlette.types import Scope, Send

from balance_service.calls import refusals
from balance_service.domain import errors
from balance_service.gateway.refusals import refusal_to_response
from balance_service.gateway.responses import ANSWER_HEADERS, JSON
from balance_service.server.wire import heads
from balance_service.server.wire.answers import shield_future
from balance_service.server.wire.frames import Failure


class PreparedRefusal:
    """Refuses calls, in English.

    Args:
        refusal: What they are told; RESOURCE_EXHAUSTED in gRPC.
    """

    def __init__(self, refusal: errors.Refusal) -> None:
        status = refusals.status(refusal)
        failure = Failure(code_pb2.RESOURCE_EXHAUSTED, status.message, status.SerializeToString())
        self._grpc_headers = [
            *heads.open_answer(heads.MEDIA_TYPE),
            *heads.failure_to_headers(failure),
        ]
        response = refusal_to_response(refusal, "en")
        self._http_status, self._http_body = response.status, response.body
        headers = {
            **ANSWER_HEADERS,
            **response.headers,
            "content-type": JSON,
            "content-length": str(len(response.body)),
        }
        self._http_headers = heads.to_headers(headers)

    async def send_grpc(self, send: Send) -> None:
        """Sends it to a caller who speaks gRPC, or what Envoy makes of it."""
        await _send(send, 200, self._grpc_headers, b"")

    async def send_http(self, scope: Scope, send: Send) -> None:
        """Sends it to any other caller."""
        body = b"" if scope["method"] == "HEAD" else self._http_body
        await _send(send, self._http_status, self._http_headers, body)


async def _send(send: Send, status: int, headers: heads.Headers, body: bytes) -> None:
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    # pyvoy's error for a caller who went cannot be imported.
    with contextlib.suppress(Exception):
        await shield_future(send(start))
        await shield_future(send({"type": "http.response.body", "body": body}))
