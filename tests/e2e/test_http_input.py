"""Input over HTTP that is wrong: each case is named, costs little, and changes nothing."""

import gzip
import json
from collections.abc import Callable
from uuid import UUID

import pytest

from balance_service.gateway import transcoder
from tests.service import Contents, Service, StartService

SOMEBODY = UUID(int=7)
# No answer to bad input is larger, whatever was sent.
ANSWER_BYTES_MAX = 8192

WRONG = [
    ("POST", "/api/v1/actions", {"amout": "5"}, "amout"),
    ("POST", "/api/v1/actions", {"amount": 5}, "amount"),
    ("POST", "/api/v1/actions", {"amount": "5", "metadata": ["x"]}, "metadata"),
    ("POST", "/api/v1/actions", '{"amount": "5", "amount": "500"}', "amount"),
    ("POST", "/api/v1/actions?amount=5", {}, "amount"),
    ("POST", "/api/v1/transfers:batchCreate", {"requests": [{"to": "x"}]}, "requests[0].to"),
    ("POST", "/api/v1/transfers:batchCreate", {"requests": [5]}, "requests[0]"),
    ("POST", "/api/v1/transfers:batchCreate", {"requests": "x"}, "requests"),
    ("POST", "/api/v1/transfers:batchCreate", {"all_or_nothing": "yes"}, "all_or_nothing"),
    ("GET", "/api/v1/actions?pagesize=5", None, "pagesize"),
    ("GET", "/api/v1/actions?page_size=x", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=1&pageSize=2", None, "page_size"),
    ("GET", "/api/v1/actions?filter.min=5", None, "filter.min"),
    ("GET", "/api/v1/actions?filter=5", None, "filter"),
    ("GET", "/api/v1/actions?filter.start_time=today", None, "filter.start_time"),
    ("GET", "/api/v1/actions?page=0", None, "page"),
    ("GET", "/api/v1/actions?page=x", None, "page"),
    ("GET", "/api/v1/actions?page=10002", None, "page"),
    ("GET", "/api/v1/actions?page=102&page_size=1000", None, "page"),
    ("GET", "/api/v1/actions?page=1&page_token=x", None, "page"),
    ("GET", "/api/v1/actions?page=7&page=1", None, "page"),
    ("GET", "/api/v1/actions?page=01", None, "page"),
    ("GET", "/api/v1/actions?page=%2B1", None, "page"),
    ("GET", "/api/v1/actions?page=1&page_size=%2B5", None, "page_size"),
    ("GET", "/api/v1/actions?page=%D9%A5", None, "page"),
    ("GET", "/api/v1/actions?page_size=%D9%A5", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=%2B5", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=05", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=-0", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=1_0", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=+5", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=1e1", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=5.0", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=5%0A", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=99999999999", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=" + "9" * 5000, None, "page_size"),
    ("GET", "/api/v1/actions?order_by=date&ordering=date", None, "order_by"),
    ("GET", "/api/v1/actions?ordering=date&ordering=date", None, "order_by"),
    ("GET", "/api/v1/actions?count_total=True", None, "count_total"),
    ("GET", "/api/v1/actions?count_total=1", None, "count_total"),
    ("GET", "/api/v1/actions?count_total=true&countTotal=true", None, "count_total"),
    ("GET", f"/api/v1/accounts/{SOMEBODY}/entries?kind=1", None, "kind"),
    ("GET", f"/api/v1/accounts/{SOMEBODY}/entries?kind=movement_kind_deposit", None, "kind"),
    (
        "GET",
        "/api/v1/actions?filter.start_time=2026-01-01T00:00:00+03:00",
        None,
        "filter.start_time",
    ),
    (
        "GET",
        "/api/v1/actions?filter.start_time=%D9%A2026-01-01T00:00:00Z",
        None,
        "filter.start_time",
    ),
    *[
        (
            "GET",
            f"/api/v1/actions?filter.end_time=2026-01-01T00:00:00{zone}",
            None,
            "filter.end_time",
        )
        for zone in ("%2B24:00", "%2B99:99", "-03:60")
    ],
    ("GET", "/api/v1/actions?filter.start_time=2026-1-1T00:00:00Z", None, "filter.start_time"),
    ("GET", "/api/v1/actions?filter.start_time=2026-13-01T00:00:00Z", None, "filter.start_time"),
    (
        "GET",
        "/api/v1/actions?filter.start_time=2026-01-01T00:00:00.1_0Z",
        None,
        "filter.start_time",
    ),
    ("GET", "/api/v1/actions?filter.start_time=0000-01-01T00:00:00Z", None, "filter.start_time"),
    ("PATCH", "/api/v1/users/me", {"role": 2}, "user.role"),
    ("PATCH", "/api/v1/users/me", {"role": "2"}, "user.role"),
    ("PATCH", "/api/v1/users/me", {"bio": "\ud800"}, "user.bio"),
    ("POST", "/api/v1/actions", '{"\\ud800": 1}', "?"),
    ("POST", "/api/v1/actions", '{"metadata": {"\\ud800": "x"}}', "metadata"),
    ("POST", "/api/v1/actions", '{"metadata": {"k": null}}', "metadata"),
    ("POST", "/api/v1/actions", '{"metadata": {"k": "1", "k": "2"}}', "k"),
    ("POST", "/api/v1/actions", '{"amount": 1e999999}', "amount"),
    ("POST", "/api/v1/transfers:batchCreate", {"all_or_nothing": 1}, "all_or_nothing"),
    ("POST", "/api/v1/transfers:batchCreate", {"requests": [None]}, "requests[0]"),
    ("GET", "/api/v1/actions?skip=-1", None, "skip"),
    ("GET", "/api/v1/actions?ordering=balance", None, "order_by"),
    ("GET", "/api/v1/actions", {"account": "x"}, "account"),
    ("PATCH", "/api/v1/users/me", {"nick": "x"}, "user.nick"),
    ("PATCH", "/api/v1/users/me?update_mask=bio&update_mask=bio", {}, "update_mask"),
]


async def test_what_is_no_field_or_no_value_is_named(
    service: Service, contents: Callable[[], Contents]
) -> None:
    person = await service.person()
    await person.open()
    before = contents()
    for verb, path, body, field in WRONG:
        answer = await person.http(verb, path, body)
        told = (answer.status, answer.reason, answer.fields)
        assert told == (400, "INVALID_FIELD", [field]), (verb, path, body)
        assert len(answer.text) < ANSWER_BYTES_MAX
    assert contents() == before


async def test_all_wrong_parameters_are_named_at_once(service: Service) -> None:
    person = await service.person()
    query = "page_size=x&skip=+5&bogus=1&filter.start_time=today&count_total=1&order_by=date"
    answer = await person.http("GET", f"/api/v1/actions?{query}&filter.min=5&order_by=date")
    assert (answer.status, answer.reason) == (400, "INVALID_FIELD")
    named = ["page_size", "skip", "bogus", "filter.start_time", "count_total", "filter.min"]
    assert answer.fields == [*named, "order_by"]


NO_OBJECTS: list[str | bytes] = [
    "{", "[]", '"x"', "{}{}", '{"amount": NaN}', '{"amount": -Infinity}', b"\xff", "[" * 9999,
    '{"a":' * 9999, '{"a": ' + "[" * 20 + "]" * 20 + "}", "9" * 5000, "\ufeff{}",
    "{}".encode("utf-16"), b'{"description": "\xed\xa0\x80"}', gzip.compress(b"{}", mtime=0), "\0",
]  # fmt: skip


async def test_body_that_is_no_object_is_refused(service: Service) -> None:
    person = await service.person()
    for body in NO_OBJECTS:
        answer = await person.http("POST", "/api/v1/actions", body)
        assert (answer.status, answer.reason) == (400, "MALFORMED_REQUEST"), body[:50]


async def test_compressed_body_is_refused_by_its_head(service: Service) -> None:
    person = await service.person()
    body = gzip.compress(b'{"amount": "5"}')
    answer = await person.http("POST", "/api/v1/actions", body, content_encoding="gzip")
    assert (answer.status, answer.reason) == (415, "MEDIA_TYPE_UNSUPPORTED")
    assert answer.headers["accept-encoding"] == "identity"


LARGEST = 1 << 20
LARGE: dict[str, str] = {
    "unknown names": json.dumps({f"name{n}": 1 for n in range(20_000)}),
    "members": json.dumps({f"n{n}": 1 for n in range(80_000)}),
    "a name repeated": json.dumps({f"name{n}": 1 for n in range(20_000)})[:-1] + ', "name7": 1}',
    "one long name": json.dumps({"ж" * 70_000: 1, "\x01" * 70_000: 2, '"' * 80_000: 3}),
    "one long value": json.dumps({"amount": "9" * 900_000, "currency": "€" * 10_000}),
    "items of no kind": json.dumps({"requests": [5] * 300_000}),
    "metadata": json.dumps({"metadata": {f"n{n}": "" for n in range(20_000)}, "amount": "1"}),
    "a metadata key": json.dumps({"metadata": {"k" * 900_000: ""}, "amount": "1"}),
    "lists": "[" * 500_000 + "]" * 500_000,
}


async def test_answer_to_large_bad_input_is_small(
    service: Service, contents: Callable[[], Contents]
) -> None:
    person = await service.person()
    before = contents()
    for name, body in LARGE.items():
        assert len(body.encode()) < LARGEST, name
        for path in ("/api/v1/actions", "/api/v1/transfers:batchCreate"):
            answer = await person.http("POST", path, body, accept_language="ru")
            assert answer.status == 400, (name, answer)
            assert len(answer.text.encode()) < ANSWER_BYTES_MAX, name
    answer = await person.http("POST", "/api/v1/actions", LARGE["unknown names"])
    assert len(answer.fields) == 20
    assert answer.detail("ErrorInfo")["metadata"]["more_violations"] == "19980"
    assert answer.json["message"].endswith("; and 19980 more")
    query = "&".join(f"n{n}=" + "x" * 500 for n in range(100))
    answer = await person.http("GET", f"/api/v1/actions?{query}")
    assert (answer.status, len(answer.text) < ANSWER_BYTES_MAX) == (400, True)
    answer = await person.http("GET", "/api/v1/actions?" + "&".join("abc" for _ in range(101)))
    assert (answer.reason, answer.fields) == ("MALFORMED_REQUEST", ["query"])
    assert contents() == before


@pytest.mark.usefixtures("within")
async def test_token_is_verified_before_a_body_is_read(service: Service) -> None:
    # uvicorn says `connection: close`; Envoy closes a connection whose body it did not read unsaid.
    forged = service.http.signed_in("no token of ours")
    for body in (LARGE["unknown names"], "{", "x" * LARGEST):
        for http, reason in ((service.http, "TOKEN_MISSING"), (forged, "TOKEN_INVALID")):
            answer = await http("POST", "/api/v1/actions", body)
            assert (answer.status, answer.reason) == (401, reason)
            assert answer.headers["connection"] == "close"
    answer = await forged("GET", "/api/v1/actions?nothing=5")
    assert (answer.status, answer.reason) == (401, "TOKEN_INVALID")


async def test_strangers_send_little(start_service: StartService) -> None:
    service = await start_service()
    body = {"email": "x" * transcoder.PUBLIC_BODY_BYTES_MAX}
    for path in ("/api/v1/auth/email", "/api/v1/auth/token", "/api/v1/auth/refresh"):
        answer = await service.http("POST", path, body)
        assert (answer.status, answer.reason) == (413, "BODY_TOO_LARGE")
