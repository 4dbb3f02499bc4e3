"""What Envoy says of a caller's certificate, and what a service is bound to of it."""

import pytest

from balance_service.domain import errors
from balance_service.domain.client_certificates import parse_name, read_header

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"Hash={DIGEST}", set()),
        (f"Hash={DIGEST.upper()};URI=spiffe://a/b", {"uri:spiffe://a/b"}),
        (
            f"Hash={DIGEST};URI=spiffe://a/B;DNS=One.example;DNS=two.example",
            {"uri:spiffe://a/B", "dns:one.example", "dns:two.example"},
        ),
        (f'Hash={DIGEST};Subject="CN=a,O=\\"x\\";URI=z";URI="urn://a;b"', {"uri:urn://a;b"}),
    ],
)
def test_header_of_one_certificate_is_read(text: str, names: set[str]) -> None:
    found = read_header(text)
    assert found
    assert found.sha256 == DIGEST
    assert found.names == names | {f"sha256:{DIGEST}"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hash=",
        "URI=spiffe://a/b",
        f"Hash={DIGEST[:-1]}",
        f"Hash={DIGEST};Hash={DIGEST}",
        # Of several proxies: which of them is the caller, nobody can tell.
        f"Hash={DIGEST},Hash={DIGEST}",
        f"Hash={DIGEST};URI=a,Hash={DIGEST}",
        f'Hash={DIGEST};URI="a',
        f"{DIGEST}",
    ],
)
def test_other_header_is_no_certificate(text: str) -> None:
    assert read_header(text) is None


def test_names_are_read_in_one_form() -> None:
    colons = ":".join(DIGEST[place : place + 2] for place in range(0, 64, 2)).upper()
    assert parse_name("sha256", colons) == f"sha256:{DIGEST}"
    assert parse_name("dns", "Billing.Example") == "dns:billing.example"
    assert parse_name("uri", "spiffe://example.org/Billing") == "uri:spiffe://example.org/Billing"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("sha256", DIGEST[:-1]),
        ("sha256", "x" * 64),
        ("dns", "a b"),
        ("dns", "a..b"),
        ("dns", "a" * 254),
        ("uri", "billing"),
        ("uri", "spiffe://a b"),
        ("uri", "spiffe://" + "a" * 300),
    ],
)
def test_name_that_is_none_is_refused(kind: str, value: str) -> None:
    with pytest.raises(errors.InvalidFields):
        parse_name(kind, value)
