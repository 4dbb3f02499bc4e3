"""MovementService: movements found across accounts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from balance_service._generated.balance.v1 import movement_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain.searches import START, ByLabel, ByReference, Place
from balance_service.messages import convert, fields, page_bytes
from balance_service.messages.external_ids import check_selector
from balance_service.messages.listing import movement_texts
from balance_service.messages.page_tokens import PageTokens
from balance_service.repositories import movement_searches

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class MovementServicer:
    """Finds movements.

    Args:
        pool: Where they are.
        page_tokens: Signs where a list goes on.
        searchable: The keys of metadata that they may be found by.
    """

    service = movement_pb2.DESCRIPTOR.services_by_name["MovementService"]

    def __init__(self, pool: Pool, page_tokens: PageTokens, searchable: frozenset[str]) -> None:
        self._pool = pool
        self._page_tokens = page_tokens
        self._searchable = searchable

    async def ListMovements(
        self, request: movement_pb2.ListMovementsRequest, call: Call
    ) -> movement_pb2.ListMovementsResponse:
        checks = fields.Checks()
        wanted = self._read_wanted(checks, request)
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        checks.finish()

        place = self._page_tokens.read(wanted, call, request.page_token)
        after = _place_from_bytes(place) if place else START
        async with self._pool.connection() as conn:
            found = await movement_searches.page(conn, wanted, after, size + 1, skip)
            total = await movement_searches.count(conn, wanted) if request.count_total else 0

        shown = page_bytes.fit(found[:size], movement_texts)
        answer = movement_pb2.ListMovementsResponse(
            movements=map(convert.movement, shown), total_size=total
        )
        if len(found) > len(shown):
            last = Place(shown[-1].created_at, shown[-1].movement_id)
            token = self._page_tokens.write(wanted, call, _place_to_bytes(last))
            answer.next_page_token = token
        return answer

    def _read_wanted(
        self, checks: fields.Checks, request: movement_pb2.ListMovementsRequest
    ) -> ByReference | ByLabel:
        """Reads what movements are found by; not to be used before `checks` has finished."""
        reference = checks(fields.text, request, "reference")
        source = checks(fields.text, request, "source")
        value = checks(fields.text, request, "metadata_value")
        if request.source and not request.reference:
            checks.refuse("source", "must come with a reference")
        if request.metadata_value and not request.metadata_key:
            checks.refuse("metadata_value", "must come with a metadata_key")
        if request.metadata_key and request.metadata_key not in self._searchable:
            keys = ", ".join(sorted(self._searchable)) or "of which there are none"
            checks.refuse("metadata_key", f"must be one of the searchable keys: {keys}")
        check_selector(checks, request, ("reference", "metadata_key"))
        if request.reference:
            return ByReference(reference, source)
        return ByLabel(request.metadata_key, value)


def _place_to_bytes(place: Place) -> bytes:
    microseconds = (place.created_at - _EPOCH) // _MICROSECOND
    return microseconds.to_bytes(8, "big") + place.movement_id.bytes


def _place_from_bytes(place: bytes) -> Place:
    microseconds = int.from_bytes(place[:8], "big")
    return Place(_EPOCH + microseconds * _MICROSECOND, UUID(bytes=place[8:]))
