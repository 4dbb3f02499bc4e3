"""The service's ports: held by the supervisor, listened on by each of its workers.

Workers share a port by SO_REUSEPORT: the kernel spreads new connections over all who listen.
"""

import contextlib
import socket
from collections.abc import Iterator

from balance_service.config import Settings


class PortUnavailable(RuntimeError):  # noqa: N818 - it is what it says
    """A port cannot be listened on, for something else does or its address is not ours."""


def listen(host: str, port: int) -> socket.socket:
    """A socket on a port that other workers listen on as well.

    Args:
        host: The address, an IPv6 one with or without brackets.
        port: 0 for any free one.

    Raises:
        PortUnavailable: It cannot be had.
    """
    return _bind(host, port, socket.SO_REUSEADDR, socket.SO_REUSEPORT)


@contextlib.contextmanager
def reserve(settings: Settings, *, gateway_alone: bool = False) -> Iterator[Settings]:
    """Holds ports that settings name, so that they are not lost while no worker listens.

    Args:
        settings: Name the ports.
        gateway_alone: Whether the HTTP port is held and no other.

    Yields:
        The settings, with the port that was found in place of each that is 0.

    Raises:
        PortUnavailable: Something else listens on one of them.
    """
    hosts = {} if gateway_alone else {"grpc_port": settings.host}
    if settings.http or gateway_alone:
        hosts["http_port"] = settings.host
    if settings.operators_port and not gateway_alone:
        hosts["operators_port"] = settings.operators_host
    with contextlib.ExitStack() as held:
        ports = {
            name: held.enter_context(_reserve_port(host, getattr(settings, name)))
            for name, host in hosts.items()
        }
        yield settings.model_copy(update=ports)


@contextlib.contextmanager
def _reserve_port(host: str, port: int) -> Iterator[int]:
    # Without SO_REUSEPORT, this fails where anything listens, another service of ours included.
    with _bind(host, port, socket.SO_REUSEADDR) as probe:
        free_port: int = probe.getsockname()[1]
    with _bind(host, free_port, socket.SO_REUSEPORT):
        yield free_port


def _bind(host: str, port: int, *options: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio sends small parts at once only on what says that it is TCP,
    # and elsewhere each answer waits 40 ms for the caller's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        for option in options:
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind((host.strip("[]"), port))
    except OSError as error:
        bound.close()
        raise PortUnavailable(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return bound
