"""Channels to the service, for the commands that call it: plaintext or TLS, as settings say."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import grpc

if TYPE_CHECKING:
    from balance_service.config import Settings

Options: TypeAlias = Sequence[tuple[str, object]]


def open_channel(
    settings: "Settings | None", target: str, options: Options = ()
) -> grpc.aio.Channel:
    """A channel for asyncio.

    Args:
        settings: Say whether it speaks TLS, whom it trusts and what it shows; None for plaintext.
        target: The service's host and port.
        options: Further options of the channel.

    Raises:
        ValueError: The certificates cannot be used.
    """
    security = settings and _read_security(settings)
    if not security:
        return grpc.aio.insecure_channel(target, options)
    return grpc.aio.secure_channel(target, security.credentials, (*options, *security.options))


def open_blocking_channel(settings: "Settings", target: str) -> grpc.Channel:
    """A channel for threads; otherwise as `open_channel`."""
    security = _read_security(settings)
    if security is None:
        return grpc.insecure_channel(target)
    return grpc.secure_channel(target, security.credentials, security.options)


class _Security(NamedTuple):
    credentials: grpc.ChannelCredentials
    options: Options


def _read_security(settings: "Settings") -> _Security | None:
    """What a channel trusts and shows; None for plaintext.

    With `tls_ca`, whoever answers must show a certificate of that authority in the target's name.
    With the service's own certificate alone, it must show that one, under whatever name.
    """
    if not (settings.tls_ca or settings.tls_certificate):
        return None
    try:
        trusted = Path(settings.tls_ca or settings.tls_certificate).read_bytes()
        shown = tuple(
            Path(path).read_bytes() if path else None
            for path in (settings.tls_key, settings.tls_certificate)
        )
        name = "" if settings.tls_ca else _certified_name(trusted)
    except (OSError, ValueError) as error:
        raise ValueError(f"the certificates cannot be used: {error}") from None
    credentials = grpc.ssl_channel_credentials(trusted, *(shown if all(shown) else ()))
    return _Security(credentials, [("grpc.ssl_target_name_override", name)] if name else [])


def _certified_name(chain: bytes) -> str:
    """A name that the first certificate of a PEM file is good for.

    Raises:
        ValueError: There is none.
    """
    from cryptography import x509  # noqa: PLC0415 - not needed without TLS

    certificate = x509.load_pem_x509_certificate(chain)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise ValueError("the certificate names no host (subjectAltName)") from None
    certified = [*names.get_values_for_type(x509.DNSName)]
    certified += map(str, names.get_values_for_type(x509.IPAddress))
    if not certified:
        raise ValueError("the certificate names no host (subjectAltName)")
    # A wildcard stands for one label, whichever.
    return certified[0].replace("*", "any", 1)
