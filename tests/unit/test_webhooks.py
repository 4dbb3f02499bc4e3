"""Signatures, retries and URLs of webhooks, by themselves."""

import base64
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from uuid import UUID

import pytest

from balance_client import WebhookInvalid, verify_webhook
from balance_service.domain import errors, webhook_urls, webhooks
from balance_service.domain.networks import parse_networks
from balance_service.domain.webhook_urls import Rules
from balance_service.domain.webhooks import Answer, Delivery, DeliveryState
from balance_service.webhooks.sending import read_retry_after

KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
FIRST = Delivery(UUID(int=1), UUID(int=2), 1, None, DeliveryState.PENDING, 0, 0, "", NOW, None, NOW)


def test_signature_is_that_of_the_specification() -> None:
    """The vector that the libraries of Standard Webhooks are tested by."""
    headers = webhooks.sign(
        [KEY], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_receiver_believes_either_secret_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"id":"e1","type":"balance.v1.later.type","later_field":1}'
    new, old, other = (bytes([number]) * 32 for number in range(3))
    headers = webhooks.sign([new, old], "e1", 1_000, body)
    shown = {name.title(): value for name, value in headers.items()}
    monkeypatch.setattr("time.time", lambda: 1_299.0)
    for key in (new, old):
        assert verify_webhook(shown, body, webhooks.write_secret(key)).id == "e1"
    secret = webhooks.write_secret(new)
    for wrong in (
        (headers, body, webhooks.write_secret(other)),
        (headers, body + b" ", secret),
        (headers | {"webhook-id": "e2"}, body, secret),
        (headers | {"webhook-timestamp": "1001"}, body, secret),
        (headers | {"webhook-timestamp": "now"}, body, secret),
        (headers | {"webhook-timestamp": "9" * 400}, body, secret),
        (headers | {"webhook-id": "\udcff"}, body, secret),
        (headers | {"webhook-signature": "v1,\u00e9"}, body, secret),
        (headers | {"webhook-signature": "v1,\udcff"}, body, secret),
        ({}, body, secret),
    ):
        with pytest.raises(WebhookInvalid):
            verify_webhook(*wrong)
    monkeypatch.setattr("time.time", lambda: 1_301.0)
    with pytest.raises(WebhookInvalid, match="too old"):
        verify_webhook(headers, body, secret)
    for none in ("whsec_\u00e9x", "whsec_", ""):
        signed_by_anybody = webhooks.sign([b""], "e1", 1_301, body)
        with pytest.raises(ValueError, match="whsec_"):
            verify_webhook(signed_by_anybody, body, none)


def test_failures_are_retried_for_three_days_and_then_dead() -> None:
    delivery, waited = FIRST, timedelta()
    outcome = webhooks.conclude(delivery, Answer(500, "HTTP 500"))
    while outcome.state is DeliveryState.PENDING:
        assert outcome.delay is not None
        waited += outcome.delay
        delivery = delivery._replace(attempts=outcome.attempts)
        outcome = webhooks.conclude(delivery, Answer(0, "the connection was refused"))
    assert outcome.state is DeliveryState.DEAD
    assert outcome.attempts == 10
    assert timedelta(hours=75) < waited < timedelta(hours=84)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(200), DeliveryState.DELIVERED),
        (Answer(204), DeliveryState.DELIVERED),
        (Answer(302, "HTTP 302"), DeliveryState.PENDING),
        (Answer(404, "HTTP 404"), DeliveryState.PENDING),
        (Answer(410, "HTTP 410"), DeliveryState.DEAD),
        (Answer(200, "no answer within 15 seconds"), DeliveryState.PENDING),
    ],
)
def test_what_an_answer_makes_of_a_delivery(answer: Answer, state: DeliveryState) -> None:
    assert webhooks.conclude(FIRST, answer).state is state


def test_receiver_is_left_alone_as_long_as_it_asks_up_to_an_hour() -> None:
    for asked, waited in ((600, 600), (10**6, 3600)):
        busy = Answer(503, "HTTP 503", timedelta(seconds=asked))
        assert webhooks.conclude(FIRST, busy).delay == timedelta(seconds=waited)
        assert webhooks.rest(1, busy.retry_after) == timedelta(seconds=waited)
    assert webhooks.rest(4, None) == timedelta()
    rests = [webhooks.rest(failures, None).total_seconds() for failures in range(5, 13)]
    assert rests == [5, 10, 20, 40, 80, 160, 300, 300]
    assert webhooks.rest(10**6, None) == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Sun, 29 Nov 2026 12:01:00 GMT", 60),
        ("Sun, 29 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("9" * 5000, 999_999_999),
    ],
)
def test_retry_after_is_read(text: str, seconds: int | None) -> None:
    read = read_retry_after(text, NOW)
    assert read == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1",
        "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::1", "2002:808:808::1", "2001:0:1::1",
        "4000::1",
    ],
)  # fmt: skip
def test_addresses_within_are_refused(address: str) -> None:
    rules = Rules()
    assert not rules.allow(ip_address(address))
    shown = f"[{address}]" if ":" in address else address
    with pytest.raises(errors.InvalidFields) as refused:
        webhook_urls.parse(f"https://{shown}/", rules, "url")
    assert refused.value.violations[0].description == webhook_urls.NOT_PUBLIC


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert Rules().allow(ip_address(address))


def test_networks_of_ones_own_are_allowed_and_none_beside() -> None:
    rules = Rules(networks=parse_networks("10.1.2.0/24, fd00:1::/64"))
    allowed = ["10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5", "8.8.8.8"]
    assert [
        each for each in [*allowed, "10.1.3.1", "fd00:2::1"] if rules.allow(ip_address(each))
    ] == allowed


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("", "is required"),
        ("http://example.com/", "must begin with https://"),
        ("ftp://example.com/", "must begin with https://"),
        ("//example.com/", "must begin with https://"),
        ("https://", "must name a host"),
        ("https:///path", "must name a host"),
        ("https://user:password@example.com/", "must not hold a user name"),
        ("https://example.com/#here", "must not have a fragment"),
        ("https://example.com/a b", "printable ASCII"),
        ("https://example.com/\r\nx: y", "printable ASCII"),
        ("https://пример.рф/", "printable ASCII"),
        ("https://example.com:0/", "must name a host"),
        ("https://example.com:99999/", "must be a URL"),
        ("https://[::1/", "must be a URL"),
        ("https://[fe80::1%25eth0]/", "must "),
        ("https://example.com\\@127.0.0.1/", "must "),
        ("https://example.com/" + "x" * 2000, "at most 2000 characters"),
    ],
)
def test_urls_that_are_refused(url: str, rule: str) -> None:
    with pytest.raises(errors.InvalidFields) as refused:
        webhook_urls.parse(url, Rules(), "endpoint.url")
    (violation,) = refused.value.violations
    assert violation.field == "endpoint.url"
    assert rule in violation.description


def test_url_is_split_into_what_is_sent() -> None:
    rules = Rules(plain_http=True)
    assert webhook_urls.parse("https://a.example/x?y=1", rules, "url") == (
        True, "a.example", 443, "a.example", "/x?y=1",
    )  # fmt: skip
    assert webhook_urls.parse("http://[2606:2800:220:1::1]:8080", rules, "url") == (
        False, "2606:2800:220:1::1", 8080, "[2606:2800:220:1::1]:8080", "/",
    )  # fmt: skip
