"""WebhookService: where events are sent to, and what became of them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from balance_service._generated.balance.v1 import webhook_pb2
from balance_service.auth.sealing import Secrets
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, ids
from balance_service.domain.audit import Action, AuditEvent, yes_or_no
from balance_service.domain.events import Place
from balance_service.domain.principals import Scope
from balance_service.domain.webhook_urls import NOT_PUBLIC
from balance_service.domain.webhooks import (
    ENDPOINTS_MAX,
    OLD_SECRET_LIFE,
    DisabledReason,
    Endpoint,
)
from balance_service.messages import (
    convert,
    fields,
    masks,
    page_bytes,
    time_places,
    webhook_messages,
)
from balance_service.messages import webhook_requests as requests
from balance_service.messages.once import Answer, ReadValues, Request, once
from balance_service.messages.page_tokens import PageTokens
from balance_service.messages.webhook_requests import WebhookRequests
from balance_service.repositories import audit, events
from balance_service.repositories import webhook_deliveries as deliveries
from balance_service.repositories import webhook_endpoints as endpoints
from balance_service.webhooks import owners, replaying, secrets
from balance_service.webhooks.sending import Sender


class WebhookServicer:
    """Keeps endpoints, and has events be sent to them.

    Args:
        pool: Where they are kept.
        page_tokens: Signs where a list goes on.
        service_secrets: Seal what is signed with.
        sender: Tells where something may be sent.
    """

    service = webhook_pb2.DESCRIPTOR.services_by_name["WebhookService"]

    def __init__(
        self, pool: Pool, page_tokens: PageTokens, service_secrets: Secrets, sender: Sender
    ) -> None:
        self._pool = pool
        self._page_tokens = page_tokens
        self._secrets = service_secrets
        self._sender = sender
        self._read = WebhookRequests(sender.parse)

    async def CreateWebhookEndpoint(
        self, request: webhook_pb2.CreateWebhookEndpointRequest, call: Call
    ) -> webhook_pb2.WebhookEndpoint:
        _check_listener(call)
        creation = self._read.creation(request)
        inside = await self._sender.leads_inside(creation.endpoint.url)

        async def act(conn: Connection, creation: requests.Creation) -> webhook_pb2.WebhookEndpoint:
            _check_outside(inside)
            owner = call.principal.name
            await endpoints.lock_owner(conn, owner)
            if await endpoints.count(conn, owner) >= ENDPOINTS_MAX:
                raise errors.WebhookEndpointLimit(ENDPOINTS_MAX)
            now = datetime.now(UTC)
            place = await events.newest(conn)
            new = _endpoint(owner, creation.endpoint, secrets.make(self._secrets), now, place)
            await endpoints.insert(conn, new)
            await _record(conn, Action.WEBHOOK_ENDPOINT_CREATED, call, new, after=_facts(new))
            return webhook_messages.endpoint(new, now)

        read, answer_type = self._read.creation, webhook_pb2.WebhookEndpoint
        made = await self._once(request, call, read, act, answer_type)
        return await self._with_secret(made)

    async def GetWebhookEndpoint(
        self, request: webhook_pb2.GetWebhookEndpointRequest, call: Call
    ) -> webhook_pb2.WebhookEndpoint:
        endpoint_id = fields.identifier(request.endpoint, "endpoint")

        async with self._pool.connection() as conn:
            found = _check_theirs(await endpoints.get(conn, endpoint_id), call, endpoint_id)

        return webhook_messages.endpoint(found, datetime.now(UTC))

    async def ListWebhookEndpoints(
        self, request: webhook_pb2.ListWebhookEndpointsRequest, call: Call
    ) -> webhook_pb2.ListWebhookEndpointsResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        checks.finish()

        owner = None if call.principal.role else call.principal.name
        place = self._page_tokens.read((), call, request.page_token)
        after = endpoints.ListPlace(*time_places.read(place)) if place else endpoints.LIST_START
        async with self._pool.connection() as conn:
            listed = await endpoints.page(conn, owner, after, size + 1, skip)
            total = await endpoints.count(conn, owner) if request.count_total else 0

        shown = page_bytes.fit(listed[:size], webhook_messages.endpoint_texts)
        now = datetime.now(UTC)
        answer = webhook_pb2.ListWebhookEndpointsResponse(
            endpoints=[webhook_messages.endpoint(each, now) for each in shown], total_size=total
        )
        if len(listed) > len(shown):
            place = time_places.write(shown[-1].created_at, shown[-1].endpoint_id)
            answer.next_page_token = self._page_tokens.write((), call, place)
        return answer

    async def UpdateWebhookEndpoint(
        self, request: webhook_pb2.UpdateWebhookEndpointRequest, call: Call
    ) -> webhook_pb2.WebhookEndpoint:
        url = self._read.update(request).endpoint.changes.get("url")
        inside = url is not None and await self._sender.leads_inside(url)

        async def act(conn: Connection, update: requests.Update) -> webhook_pb2.WebhookEndpoint:
            before = await _lock(conn, call, update.id)
            masks.check_etag(update.endpoint.etag, before.version)
            _check_outside(inside)
            after = await _change(conn, before, update.endpoint.changes)
            await endpoints.update(conn, after)
            facts = _facts(before), _facts(after)
            await _record(conn, Action.WEBHOOK_ENDPOINT_UPDATED, call, after, *facts)
            return webhook_messages.endpoint(after, datetime.now(UTC))

        return await self._once(request, call, self._read.update, act, webhook_pb2.WebhookEndpoint)

    async def DeleteWebhookEndpoint(
        self, request: webhook_pb2.DeleteWebhookEndpointRequest, call: Call
    ) -> Empty:
        async def act(conn: Connection, named: requests.Named) -> Empty:
            before = await _lock(conn, call, named.endpoint)
            await endpoints.delete(conn, before.endpoint_id)
            facts = _facts(before)
            await _record(conn, Action.WEBHOOK_ENDPOINT_DELETED, call, before, before=facts)
            return Empty()

        return await self._once(request, call, requests.named, act, Empty)

    async def RotateWebhookSecret(
        self, request: webhook_pb2.RotateWebhookSecretRequest, call: Call
    ) -> webhook_pb2.WebhookEndpoint:
        async def act(conn: Connection, rotation: requests.Rotation) -> webhook_pb2.WebhookEndpoint:
            before = await _lock(conn, call, rotation.endpoint)
            now = datetime.now(UTC)
            until = rotation.expire_time or now + OLD_SECRET_LIFE
            after = before._replace(
                secret=secrets.make(self._secrets),
                secret_at=now,
                old_secret=before.secret,
                old_secret_until=until,
                version=before.version + 1,
                updated_at=now,
            )
            await endpoints.update(conn, after)
            told = {"old_secret_until": until.isoformat()}
            await _record(conn, Action.WEBHOOK_SECRET_ROTATED, call, after, after=told)
            return webhook_messages.endpoint(after, now)

        made = await self._once(request, call, requests.rotation, act, webhook_pb2.WebhookEndpoint)
        return await self._with_secret(made)

    async def SendTestEvent(
        self, request: webhook_pb2.SendTestEventRequest, call: Call
    ) -> webhook_pb2.WebhookDelivery:
        async def act(conn: Connection, named: requests.Named) -> webhook_pb2.WebhookDelivery:
            endpoint = await _lock(conn, call, named.endpoint)
            event_id = ids.new_id()
            await deliveries.add_test(conn, endpoint.endpoint_id, event_id)
            await _record(conn, Action.WEBHOOK_TESTED, call, endpoint)
            return webhook_messages.delivery(await replaying.get(conn, endpoint, event_id))

        return await self._once(request, call, requests.named, act, webhook_pb2.WebhookDelivery)

    async def ListWebhookDeliveries(
        self, request: webhook_pb2.ListWebhookDeliveriesRequest, call: Call
    ) -> webhook_pb2.ListWebhookDeliveriesResponse:
        checks = fields.Checks()
        endpoint_id = checks(fields.identifier, request.endpoint, "endpoint")
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        state = checks(requests.state, request.state)
        checks.finish()

        query = (endpoint_id, state)
        place = self._page_tokens.read(query, call, request.page_token)
        before = deliveries.ListPlace(*time_places.read(place)) if place else None
        async with self._pool.connection() as conn:
            _check_theirs(await endpoints.get(conn, endpoint_id), call, endpoint_id)
            listed = await deliveries.page(conn, endpoint_id, state, before, size + 1, skip)
            total = await deliveries.count(conn, endpoint_id, state) if request.count_total else 0

        shown = listed[:size]
        answer = webhook_pb2.ListWebhookDeliveriesResponse(
            deliveries=map(webhook_messages.delivery, shown), total_size=total
        )
        if len(listed) > len(shown):
            place = time_places.write(shown[-1].created_at, shown[-1].event_id)
            answer.next_page_token = self._page_tokens.write(query, call, place)
        return answer

    async def RedeliverWebhookDelivery(
        self, request: webhook_pb2.RedeliverWebhookDeliveryRequest, call: Call
    ) -> webhook_pb2.WebhookDelivery:
        async def act(conn: Connection, wanted: requests.Redelivery) -> webhook_pb2.WebhookDelivery:
            endpoint = await _lock(conn, call, wanted.endpoint)
            pending = await replaying.again(conn, endpoint, wanted.event)
            told = {"event": str(wanted.event)}
            await _record(conn, Action.WEBHOOK_REDELIVERED, call, endpoint, after=told)
            return webhook_messages.delivery(pending)

        return await self._once(
            request, call, requests.redelivery, act, webhook_pb2.WebhookDelivery
        )

    async def ReplayEvents(
        self, request: webhook_pb2.ReplayEventsRequest, call: Call
    ) -> webhook_pb2.ReplayEventsResponse:
        async def act(
            conn: Connection, wanted: requests.Replay
        ) -> webhook_pb2.ReplayEventsResponse:
            endpoint = await _lock(conn, call, wanted.endpoint)
            part = await _part(conn, wanted)
            count = await replaying.replay(conn, endpoint, part)
            told = {"first_sequence": str(part.first), "last_sequence": str(part.last)}
            await _record(conn, Action.WEBHOOK_REPLAYED, call, endpoint, after=told)
            return webhook_pb2.ReplayEventsResponse(
                events=count, first_sequence=part.first, last_sequence=part.last
            )

        return await self._once(
            request, call, requests.replay, act, webhook_pb2.ReplayEventsResponse
        )

    async def _once(
        self,
        request: Request,
        call: Call,
        read: Callable[[Request], ReadValues],
        act: Callable[[Connection, ReadValues], Awaitable[Answer]],
        answer_type: type[Answer],
    ) -> Answer:
        answer = await once(self._pool, request, call, read=read, act=act, answer_type=answer_type)
        # What was answered before was the same caller's.
        call.prove(Condition.MAKER)
        return answer

    async def _with_secret(self, made: webhook_pb2.WebhookEndpoint) -> webhook_pb2.WebhookEndpoint:
        """The answer with the secret that was made: what is stored of it for repeats has none."""
        async with self._pool.connection() as conn:
            found = await endpoints.get(conn, UUID(made.id))
        if found and convert.timestamp(found.secret_at) == made.secret_time:
            made.secret = secrets.tell(self._secrets, found)
        return made


def _check_listener(call: Call) -> None:
    """Lets a caller have events sent who may list all of them."""
    call.prove(Condition.LISTENER)
    if not owners.hears_all(call.principal):
        raise errors.PermissionMissing(required=f"scope {Scope.EVENTS_READ}")


def _check_outside(inside: bool) -> None:  # noqa: FBT001 - what was found out
    if inside:
        raise errors.invalid("endpoint.url", NOT_PUBLIC)


def _check_theirs(found: Endpoint | None, call: Call, endpoint_id: UUID) -> Endpoint:
    """An endpoint that was looked up, if the caller may manage it.

    Raises:
        WebhookEndpointNotFound: There is none, or it is somebody else's.
    """
    call.prove(Condition.MAKER)
    if found and (call.unconditional or found.owner == call.principal.name):
        return found
    raise errors.WebhookEndpointNotFound(str(endpoint_id))


async def _lock(conn: Connection, call: Call, endpoint_id: UUID) -> Endpoint:
    return _check_theirs(await endpoints.lock(conn, endpoint_id), call, endpoint_id)


def _endpoint(
    owner: str, offered: requests.Offered, secret: bytes, now: datetime, place: Place
) -> Endpoint:
    return Endpoint(
        endpoint_id=ids.new_id(),
        owner=owner,
        url=offered.url,
        description=offered.description,
        types=offered.filter.types,
        account_ids=offered.filter.account_ids,
        disabled=offered.disabled,
        disabled_reason=DisabledReason.NONE,
        secret=secret,
        secret_at=now,
        old_secret=None,
        old_secret_until=None,
        version=1,
        created_at=now,
        updated_at=now,
        place=place,
        failures=0,
        failing_since=None,
    )


async def _change(conn: Connection, before: Endpoint, changes: requests.Changes) -> Endpoint:
    after = before._replace(
        url=changes.get("url", before.url),
        description=changes.get("description", before.description),
        disabled=changes.get("disabled", before.disabled),
        version=before.version + 1,
        updated_at=datetime.now(UTC),
    )
    if "filter" in changes:
        kept = changes["filter"]
        after = after._replace(types=kept.types, account_ids=kept.account_ids)
    if before.disabled and not after.disabled:
        after = after._replace(
            disabled_reason=DisabledReason.NONE,
            failures=0,
            failing_since=None,
            place=await replaying.place_to_go_on(conn, before.place),
        )
    return after


async def _part(conn: Connection, wanted: requests.Replay) -> replaying.Part:
    if wanted.start_time is None:
        return await replaying.part(conn, wanted.first_sequence, wanted.last_sequence)
    found = await replaying.part_by_time(conn, wanted.start_time, wanted.end_time)
    if found.last >= found.first:
        requests.check_part(found.first, found.last, "start_time", "end_time")
    return found


def _facts(endpoint: Endpoint) -> dict[str, str]:
    """What an endpoint is, for the audit log: of its URL the host, for the path may be secret."""
    return {
        "host": urlsplit(endpoint.url).netloc,
        "description": endpoint.description,
        "types": ",".join(each.text for each in endpoint.types),
        "accounts": ",".join(map(str, endpoint.account_ids)),
        "disabled": yes_or_no(value=endpoint.disabled),
    }


async def _record(
    conn: Connection,
    action: Action,
    call: Call,
    endpoint: Endpoint,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    target = f"webhook_endpoint:{endpoint.endpoint_id}"
    await audit.record(conn, AuditEvent(action, call.actor, target, before or {}, after or {}))
