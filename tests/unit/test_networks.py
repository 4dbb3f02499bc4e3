"""The network of a caller: what proxies say is believed, and what callers say is not."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain.networks import UNKNOWN, caller_network, parse_networks

PROXIES = parse_networks("10.0.0.0/8, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "network"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9,198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1, rubbish", "10.0.0.1"),
        ("fd00::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8::1", "", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("", "198.51.100.1", UNKNOWN),
        ("rubbish", "198.51.100.1", UNKNOWN),
    ],
)
def test_caller_is_whom_the_proxies_name(peer: str, forwarded_for: str, network: str) -> None:
    assert caller_network(peer, forwarded_for, PROXIES) == network


@given(st.text(max_size=60))
def test_callers_do_not_choose_their_network(said: str) -> None:
    assert caller_network("192.0.2.1", said, PROXIES) == "192.0.2.1"
    through_a_proxy = caller_network("10.0.0.1", f"{said},192.0.2.1", PROXIES)
    assert through_a_proxy == "192.0.2.1"


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_addresses_of_one_subscriber_are_one_network(first: int, second: int) -> None:
    prefix = 0x20010DB8_00000001 << 64
    one, other = (str(IPv6Address(prefix + host)) for host in (first, second))
    assert caller_network(one, "", ()) == caller_network(other, "", ()) == "2001:db8:0:1::/64"


@pytest.mark.parametrize("text", ["x", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8;::/0"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be networks"):
        parse_networks(text)
