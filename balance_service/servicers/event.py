"""EventService: lists and follows what was committed."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from balance_service._generated.balance.v1 import event_pb2
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.events import Place, Wanted
from balance_service.messages import event_filters, event_messages, fields, page_bytes
from balance_service.messages.event_filters import EventFilter
from balance_service.messages.page_tokens import PageTokens
from balance_service.reading.events import EventLog
from balance_service.repositories import accounts

# The log, in the signatures of the tokens that both calls go on with.
_LOG = "events"


class EventServicer:
    """Tells of what was committed.

    Args:
        pool: Finds the accounts of users.
        log: The log of events.
        page_tokens: Signs where a reader goes on.
        source: What events name as where they happened.
    """

    service = event_pb2.DESCRIPTOR.services_by_name["EventService"]

    def __init__(self, pool: Pool, log: EventLog, page_tokens: PageTokens, source: str) -> None:
        self._pool = pool
        self._log = log
        self._page_tokens = page_tokens
        self._source = source

    async def ListEvents(
        self, request: event_pb2.ListEventsRequest, call: Call
    ) -> event_pb2.ListEventsResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        asked = checks(event_filters.read, request.filter, "filter")
        since = _read_start(checks, request)
        checks.finish()

        wanted = await self._wanted(asked, call)
        kept = self._read_token(asked, call, request.page_token)
        after = await self._log.place(kept, since, newest=False)
        page = await self._log.page(after, wanted, size)

        shown = page_bytes.fit(page.events, event_messages.texts)
        end = page.end if len(shown) == len(page.events) else shown[-1].place
        token = self._write_token(asked, call, end)
        return event_pb2.ListEventsResponse(
            events=[event_messages.event(event, self._source) for event in shown],
            next_page_token=token if end.sequence < page.head else "",
            page_token=token,
        )

    async def WatchEvents(
        self, request: event_pb2.WatchEventsRequest, call: Call
    ) -> AsyncIterator[event_pb2.WatchEventsResponse]:
        checks = fields.Checks()
        asked = checks(event_filters.read, request.filter, "filter")
        since = _read_start(checks, request)
        checks.finish()

        wanted = await self._wanted(asked, call)
        kept = self._read_token(asked, call, request.page_token)
        after = await self._log.place(kept, since, newest=True)
        async with contextlib.aclosing(self._log.follow(after, wanted)) as pages:
            async for page in pages:
                for event in page.events:
                    yield event_pb2.WatchEventsResponse(
                        event=event_messages.event(event, self._source),
                        page_token=self._write_token(asked, call, event.place),
                    )
                if not page.events:
                    yield event_pb2.WatchEventsResponse(
                        page_token=self._write_token(asked, call, page.end)
                    )

    async def accounts_of(self, owner_id: UUID) -> frozenset[UUID]:
        """The accounts of a user."""
        async with self._pool.connection() as conn:
            return frozenset(await accounts.ids_of_owner(conn, owner_id))

    async def _wanted(self, asked: EventFilter, call: Call) -> Wanted:
        """What the caller may have of what they ask for.

        Raises:
            AccountNotFound: There is no such account, or it is somebody else's.
        """
        call.prove(Condition.OWNER)
        types, account_ids = frozenset(asked.types), frozenset(asked.account_ids)
        if call.unconditional:
            return Wanted(types, account_ids or None)
        owner_id = call.principal.require_user()
        own = await self.accounts_of(owner_id)
        if strange := account_ids - own:
            raise errors.AccountNotFound(str(min(strange)))
        if account_ids:
            return Wanted(types, account_ids, private=True)
        return Wanted(types, own, frozenset({owner_id}), private=True)

    def _read_token(self, asked: EventFilter, call: Call, token: str) -> Place | None:
        place = self._page_tokens.read(asked, call, token, _LOG)
        return event_messages.place_from_bytes(place) if place else None

    def _write_token(self, asked: EventFilter, call: Call, place: Place) -> str:
        return self._page_tokens.write(asked, call, event_messages.place_to_bytes(place), _LOG)


def _read_start(
    checks: fields.Checks, request: event_pb2.ListEventsRequest | event_pb2.WatchEventsRequest
) -> datetime | None:
    if not request.HasField("start_time"):
        return None
    return checks(fields.bound, request.start_time, "start_time")
