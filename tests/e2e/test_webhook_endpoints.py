"""Endpoints of webhooks as their owners manage them."""

from uuid import uuid4

import psycopg
from google.protobuf.field_mask_pb2 import FieldMask
from psycopg import sql

from balance_client import v1
from balance_service.domain.principals import Scope
from tests import webhooks
from tests.service import Service, StartService, refused
from tests.webhooks import LISTENING, LOCAL


async def test_secret_is_told_once_and_kept_sealed(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    request = v1.CreateWebhookEndpointRequest(
        endpoint=v1.WebhookEndpoint(url="https://93.184.216.34/"), request_id=str(uuid4())
    )
    made = await crm.webhooks.CreateWebhookEndpoint(request)
    assert (await crm.webhooks.CreateWebhookEndpoint(request)) == made
    (listed,) = (
        await crm.webhooks.ListWebhookEndpoints(v1.ListWebhookEndpointsRequest())
    ).endpoints
    found = await crm.webhooks.GetWebhookEndpoint(v1.GetWebhookEndpointRequest(endpoint=made.id))
    assert (listed.secret, found.secret) == ("", "")
    assert listed == found
    key = made.secret.removeprefix("whsec_")
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        for table in ("webhook_endpoints", "idempotency_keys", "audit_events"):
            rows = await (
                await conn.execute(
                    sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table))
                )
            ).fetchall()
            assert rows
            told = " ".join(row[0] for row in rows)
            assert key not in told
            assert key.encode().hex() not in told


async def test_audit_log_has_the_host_and_not_the_query(
    start_service: StartService, database_url: str
) -> None:
    crm = await (await start_service(**LOCAL)).sibling(*LISTENING)
    await webhooks.add(crm, "https://93.184.216.34?key=in-secret")
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        rows = await (await conn.execute("SELECT t::text FROM audit_events AS t")).fetchall()
    told = " ".join(row[0] for row in rows)
    assert "93.184.216.34" in told
    assert "in-secret" not in told


async def test_rehearsed_creation_makes_nothing_and_tells_no_secret(
    start_service: StartService,
) -> None:
    crm = await (await start_service(**LOCAL)).sibling(*LISTENING)
    request = v1.CreateWebhookEndpointRequest(
        endpoint=v1.WebhookEndpoint(url="https://93.184.216.34/"), validate_only=True
    )
    assert not (await crm.webhooks.CreateWebhookEndpoint(request)).secret
    listed = await crm.webhooks.ListWebhookEndpoints(v1.ListWebhookEndpointsRequest())
    assert not listed.endpoints


async def test_endpoints_within_are_refused(service: Service) -> None:
    """Neither by an address nor by a name that leads to one."""
    crm = await service.sibling(*LISTENING)
    for url in ("https://127.0.0.1/", "https://localhost/", "https://2130706433/"):
        error = await refused(webhooks.add(crm, url))
        (violation,) = error.violations
        assert (violation.field, violation.description) == (
            "endpoint.url",
            "must lead to public addresses alone",
        )
    made = await webhooks.add(crm, "https://not-there-yet.invalid/")
    change = v1.UpdateWebhookEndpointRequest(
        id=made.id,
        endpoint=v1.WebhookEndpoint(url="https://localhost/"),
        update_mask=FieldMask(paths=["url"]),
    )
    error = await refused(crm.webhooks.UpdateWebhookEndpoint(change))
    assert [each.field for each in error.violations] == ["endpoint.url"]


async def test_each_caller_manages_their_own_and_admins_all(service: Service) -> None:
    crm, shop = await service.sibling(*LISTENING), await service.sibling(*LISTENING)
    admin = await service.admin()
    made = await webhooks.add(crm, "https://93.184.216.34/")
    listed = await shop.webhooks.ListWebhookEndpoints(v1.ListWebhookEndpointsRequest())
    assert not listed.endpoints
    requests = (
        shop.webhooks.GetWebhookEndpoint(v1.GetWebhookEndpointRequest(endpoint=made.id)),
        shop.webhooks.DeleteWebhookEndpoint(v1.DeleteWebhookEndpointRequest(endpoint=made.id)),
        shop.webhooks.RotateWebhookSecret(v1.RotateWebhookSecretRequest(endpoint=made.id)),
        shop.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=made.id)),
        shop.webhooks.ListWebhookDeliveries(v1.ListWebhookDeliveriesRequest(endpoint=made.id)),
    )
    for request in requests:
        assert (await refused(request)).reason == "WEBHOOK_ENDPOINT_NOT_FOUND"
    listed = await admin.client.webhooks.ListWebhookEndpoints(v1.ListWebhookEndpointsRequest())
    assert [each.owner for each in listed.endpoints] == [made.owner]
    await admin.client.webhooks.DeleteWebhookEndpoint(
        v1.DeleteWebhookEndpointRequest(endpoint=made.id)
    )
    gone = crm.webhooks.GetWebhookEndpoint(v1.GetWebhookEndpointRequest(endpoint=made.id))
    assert (await refused(gone)).reason == "WEBHOOK_ENDPOINT_NOT_FOUND"
    deaf = await service.sibling(Scope.WEBHOOKS_WRITE)
    error = await refused(webhooks.add(deaf, "https://93.184.216.34/"))
    assert (error.reason, error.metadata["required"]) == ("PERMISSION_MISSING", "scope events:read")


async def test_lists_go_on_where_a_page_ended(service: Service) -> None:
    crm = await service.sibling(*LISTENING)
    made = [await webhooks.add(crm, f"https://93.184.216.34/{n}", disabled=True) for n in range(3)]
    first = await crm.webhooks.ListWebhookEndpoints(v1.ListWebhookEndpointsRequest(page_size=2))
    rest = await crm.webhooks.ListWebhookEndpoints(
        v1.ListWebhookEndpointsRequest(page_token=first.next_page_token)
    )
    assert [each.id for each in [*first.endpoints, *rest.endpoints]] == [each.id for each in made]
    assert not rest.next_page_token
    endpoint = made[0].id
    tests = [
        (await crm.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=endpoint))).event
        for _ in range(3)
    ]
    page = v1.ListWebhookDeliveriesRequest(
        endpoint=endpoint, page_size=2, state=v1.WEBHOOK_DELIVERY_STATE_PENDING
    )
    newest = await crm.webhooks.ListWebhookDeliveries(page)
    page.page_token = newest.next_page_token
    oldest = await crm.webhooks.ListWebhookDeliveries(page)
    told = [each.event for each in [*newest.deliveries, *oldest.deliveries]]
    assert told == tests[::-1]
    page.page_token, page.state = "", v1.WEBHOOK_DELIVERY_STATE_DEAD
    assert not (await crm.webhooks.ListWebhookDeliveries(page)).deliveries


async def test_endpoints_have_a_limit_for_each_caller(service: Service) -> None:
    crm, shop = await service.sibling(*LISTENING), await service.sibling(*LISTENING)
    added = [await webhooks.add(crm, "https://93.184.216.34/", disabled=True) for _ in range(20)]
    error = await refused(webhooks.add(crm, "https://93.184.216.34/"))
    assert (error.reason, error.metadata["limit"]) == ("WEBHOOK_ENDPOINT_LIMIT", "20")
    await webhooks.add(shop, "https://93.184.216.34/")
    await crm.webhooks.DeleteWebhookEndpoint(v1.DeleteWebhookEndpointRequest(endpoint=added[0].id))
    await webhooks.add(crm, "https://93.184.216.34/")


async def test_etag_of_another_version_changes_nothing(service: Service) -> None:
    crm = await service.sibling(*LISTENING)
    made = await webhooks.add(crm, "https://93.184.216.34/")
    change = v1.UpdateWebhookEndpointRequest(
        id=made.id,
        endpoint=v1.WebhookEndpoint(description="New", etag=made.etag),
        update_mask=FieldMask(paths=["description"]),
    )
    changed = await crm.webhooks.UpdateWebhookEndpoint(change)
    assert (changed.description, changed.url) == ("New", made.url)
    assert (await refused(crm.webhooks.UpdateWebhookEndpoint(change))).reason == "ETAG_MISMATCH"
