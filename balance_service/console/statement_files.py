"""Statements as files: an account's entries of whole days, as the service sends them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response, StreamingResponse

from balance_service._generated.balance.v1 import statement_pb2
from balance_service.console import queries
from balance_service.console.protection import PAGE_HEADERS, BadForm
from balance_service.console.visits import Visit

FORMATS = {
    "csv": statement_pb2.STATEMENT_FORMAT_CSV,
    "json": statement_pb2.STATEMENT_FORMAT_JSON,
    "pdf": statement_pb2.STATEMENT_FORMAT_PDF,
}


async def send(visit: Visit) -> Response:
    """Passes a file on, part by part.

    Raises:
        BadForm: The address names no format, or no day.
        Refused: There is no such account, or no such file of it.
    """
    asked = visit.query
    if asked.get("format") not in FORMATS:
        raise BadForm
    now = Timestamp()
    now.FromDatetime(datetime.now(UTC))
    end = queries.end_of(asked.get("to", "")) or now
    request = statement_pb2.DownloadStatementRequest(
        account=visit.part("account"),
        start_time=queries.start_of(asked.get("from", "")) or Timestamp(),
        # A day that goes on is told as far as it has come.
        end_time=min(end, now, key=Timestamp.ToNanoseconds),
        format=FORMATS[asked["format"]],
    )
    parts = visit.receive(visit.service.statements.DownloadStatement, request)
    first = await anext(parts)
    told = statement_pb2.StatementFile()
    first.extensions[0].Unpack(told)
    named = {"content-disposition": f'attachment; filename="{told.name}"'}
    return StreamingResponse(
        _data(first, parts), 200, {**PAGE_HEADERS, **named}, first.content_type
    )


async def _data(first: HttpBody, parts: AsyncIterator[HttpBody]) -> AsyncIterator[bytes]:
    yield first.data
    async for part in parts:
        yield part.data
