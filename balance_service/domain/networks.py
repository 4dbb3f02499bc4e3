"""The network of a caller, which limits of sign-in count by."""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

# One subscriber's: a household or a machine is given a whole /64 (RFC 6177), and could call from a
# new address of it each time.
IPV6_PREFIX_LENGTH = 64
UNKNOWN = "unknown"


def parse_networks(text: str) -> tuple[Network, ...]:
    """Reads networks separated by commas, such as `10.0.0.0/8, fd00::/8`.

    Raises:
        ValueError: One is none.
    """
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("must be networks separated by commas, such as 10.0.0.0/8") from None


def caller_network(peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """The network that a call comes from: an IPv4 address, or the /64 of an IPv6 address.

    What `forwarded_for` says is believed only as far as proxies wrote it: whoever the last proxy
    was called by is the caller, and what stands left of that is the caller's own word.

    Args:
        peer: The address of the connection; empty where it has none.
        forwarded_for: The header x-forwarded-for.
        proxies: Networks of the proxies in front.

    Returns:
        The network as text; UNKNOWN where it cannot be told.
    """
    caller = _read_address(peer)
    for hop in reversed(forwarded_for.split(",")):
        if caller is None or not any(caller in proxy for proxy in proxies):
            break
        nearer = _read_address(hop.strip())
        if nearer is None:
            # A proxy that does not know its caller; left of that, everything may be made up.
            break
        caller = nearer
    if caller is None:
        return UNKNOWN
    if isinstance(caller, IPv6Address):
        return str(IPv6Network((int(caller), IPV6_PREFIX_LENGTH), strict=False))
    return str(caller)


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # An IPv4 caller on a socket that takes both (RFC 4291, 2.5.5.2).
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
