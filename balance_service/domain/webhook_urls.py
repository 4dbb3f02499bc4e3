"""Which URLs events may be sent to, and which addresses: those that anybody could reach, and no
machine of the service's own networks.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from balance_service.domain import errors
from balance_service.domain.networks import Network, parse_networks

URL_LENGTH_MAX = 2_000
NOT_PUBLIC = "must lead to public addresses alone"

Address: TypeAlias = IPv4Address | IPv6Address

# Of IANA's registries of special-purpose addresses (RFC 6890), those that are not machines of
# anybody's on the internet, and multicast. The standard library's own list differs by its version.
_WITHIN_IPV4 = parse_networks(
    "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12,"
    "192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24,"
    "203.0.113.0/24, 224.0.0.0/4, 240.0.0.0/4"
)
# Beyond this no address is a machine's on the internet: among others, IPv4 addresses that are
# mapped, translated or for NAT64 (RFC 4291, RFC 6052), of which the last lead anywhere.
_UNICAST_IPV6 = IPv6Network("2000::/3")
# Of that: protocols such as Teredo, documentation, and 6to4, which leads to an IPv4 address within.
_WITHIN_IPV6 = parse_networks("2001::/23, 2001:db8::/32, 2002::/16, 3fff::/20")


class Target(NamedTuple):
    """Where a request goes.

    Args:
        host: A name or an address, as ASCII and without brackets.
        authority: The host and, unless it is the scheme's own, the port: the header `host`.
        path: The path and the query.
    """

    secure: bool
    host: str
    port: int
    authority: str
    path: str

    @property
    def address(self) -> Address | None:
        """The host, where that is an address."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


class Rules(NamedTuple):
    """Which URLs are allowed besides https on public addresses.

    Args:
        plain_http: Whether http is.
        networks: Networks that need not be public.
    """

    plain_http: bool = False
    networks: Sequence[Network] = ()

    def allow(self, address: Address) -> bool:
        """Whether a connection to an address may be made."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if any(address in network for network in self.networks):
            return True
        if isinstance(address, IPv4Address):
            return not any(address in network for network in _WITHIN_IPV4)
        within = any(address in network for network in _WITHIN_IPV6)
        return address in _UNICAST_IPV6 and not within


def parse(url: str, rules: Rules, field: str) -> Target:
    """Reads a URL.

    Raises:
        InvalidFields: Nothing may be sent there, as far as the URL alone tells.
    """
    schemes = ("https", "http") if rules.plain_http else ("https",)
    if not url:
        raise errors.invalid(field, f"is required: an {schemes[0]} URL")
    if len(url) > URL_LENGTH_MAX:
        raise errors.invalid(field, f"must have at most {URL_LENGTH_MAX} characters")
    if not url.isascii() or any(not " " < character < "\x7f" for character in url):
        raise errors.invalid(field, "must have printable ASCII characters and no spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise errors.invalid(field, "must be a URL") from None
    if parts.scheme not in schemes:
        raise errors.invalid(field, f"must begin with {' or '.join(f'{s}://' for s in schemes)}")
    if not host or "%" in host or "\\" in url or port == 0:
        raise errors.invalid(field, "must name a host, and a port from 1 to 65535 or none")
    if "@" in parts.netloc:
        raise errors.invalid(field, "must not hold a user name or password")
    if "#" in url:
        raise errors.invalid(field, "must not have a fragment")
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    standard = 443 if secure else 80
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port in (None, standard) else f"{shown}:{port}"
    target = Target(secure, host, port or standard, authority, path)
    if target.address is not None and not rules.allow(target.address):
        raise errors.invalid(field, NOT_PUBLIC)
    return target
