"""Webhooks in the console: endpoints read and switched, secrets shown once, events sent again."""

from balance_client import v1
from tests import webhooks
from tests.console.visitors import Console
from tests.webhooks import LISTENING

DO = ("step", "do")


async def test_endpoints_are_switched_and_their_secrets_rotated(console: Console) -> None:
    crm = await console.service.sibling(*LISTENING)
    made = await webhooks.add(crm, "https://crm.example.com/<hook>", disabled=True)
    visitor, path = await console.admin(), f"/webhooks/{made.id}"
    assert path in (await visitor.get("/webhooks")).links
    shown = await visitor.get(path)
    assert ("crm.example.com/<hook>" in shown.text, "disabled" in shown.text) == (True, True)
    assert made.secret not in shown.html
    confirm = await visitor.check("enable-webhook", made.id)
    assert "disabled enabled" in confirm.text
    get = v1.GetWebhookEndpointRequest(endpoint=made.id)
    assert (await crm.webhooks.GetWebhookEndpoint(get)).disabled
    assert "The endpoint is enabled." in (await visitor.submit(confirm, DO)).text
    assert not (await crm.webhooks.GetWebhookEndpoint(get)).disabled
    assert "The endpoint is disabled." in (await visitor.act("disable-webhook", made.id)).text

    confirm = await visitor.check("rotate-webhook-secret", made.id)
    assert "whsec_" not in confirm.html
    rotated = await visitor.submit(confirm, DO)
    assert ("whsec_" in rotated.text, made.secret in rotated.text) == (True, False)
    assert "whsec_" not in (await visitor.get(path)).html
    record = (await visitor.get(f"/audit?target=webhook_endpoint:{made.id}")).text
    assert "webhook_endpoint.secret_rotated" in record
    assert "whsec_" not in record


async def test_an_event_is_sent_again(console: Console) -> None:
    crm = await console.service.sibling(*LISTENING)
    made = await webhooks.add(crm, "https://crm.example.com/hook", disabled=True)
    sent = await crm.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=made.id))
    visitor = await console.admin()
    (again,) = [
        link for link in (await visitor.get(f"/webhooks/{made.id}")).links if sent.event in link
    ]
    target = again.rpartition("/")[2]
    assert target == f"{made.id}.{sent.event}"
    shown = await visitor.act("redeliver-event", target)
    assert (shown.path, "The event is sent again." in shown.text) == (f"/webhooks/{made.id}", True)
