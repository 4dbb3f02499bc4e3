"""AuditService: lists the audit log."""

from datetime import datetime
from typing import Literal

from balance_service._generated.balance.v1 import audit_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.domain.audit import Action, RecordedEvent
from balance_service.messages import audit_messages, fields, page_bytes, time_places
from balance_service.messages.page_tokens import PageTokens
from balance_service.repositories import audit


class AuditServicer:
    """Shows the audit log.

    Args:
        pool: Where it is.
        page_tokens: Signs where a list of it goes on.
    """

    service = audit_pb2.DESCRIPTOR.services_by_name["AuditService"]

    def __init__(self, pool: Pool, page_tokens: PageTokens) -> None:
        self._pool = pool
        self._page_tokens = page_tokens

    async def ListAuditEvents(
        self, request: audit_pb2.ListAuditEventsRequest, call: Call
    ) -> audit_pb2.ListAuditEventsResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        query = _read_query(checks, request)
        checks.finish()

        place = self._page_tokens.read(query, call, request.page_token)
        after = audit.Place(*time_places.read(place)) if place else None
        async with transaction(self._pool) as conn:
            listed = await audit.page(conn, query, after, size + 1, skip)
            total = await audit.count(conn, query) if request.count_total else 0

        shown = page_bytes.fit(listed[:size], _texts)
        answer = audit_pb2.ListAuditEventsResponse(
            events=map(audit_messages.event, shown), total_size=total
        )
        if len(listed) > len(shown):
            place = time_places.write(shown[-1].created_at, shown[-1].event_id)
            answer.next_page_token = self._page_tokens.write(query, call, place)
        return answer


def _read_query(checks: fields.Checks, request: audit_pb2.ListAuditEventsRequest) -> audit.Query:
    message = request.filter

    def limit(name: Literal["start_time", "end_time"]) -> datetime | None:
        if not message.HasField(name):
            return None
        return checks(fields.bound, getattr(message, name), f"filter.{name}")

    return audit.Query(
        actor=checks(fields.text, message, "actor", "filter.actor"),
        target=checks(fields.text, message, "target", "filter.target"),
        action=checks(_read_action, message.action),
        start_time=limit("start_time"),
        end_time=limit("end_time"),
        oldest_first=checks(fields.oldest_first, request.order_by),
    )


def _read_action(value: str) -> str:
    # A name that is mistyped must not be taken for one of which nothing is known.
    if value and value not in set(Action):
        raise errors.invalid("filter.action", "must be a known action, such as user.role_changed")
    return value


def _texts(event: RecordedEvent) -> list[str]:
    """What callers wrote."""
    return [event.reason, event.target, *event.before.values(), *event.after.values()]
