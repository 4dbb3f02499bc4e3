"""The certificate that a caller shows, and the names that a sibling service is known by in it."""

import re
from typing import NamedTuple

from balance_service.domain import errors

NAME_LENGTH_MAX = 300
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
_DNS = re.compile(rf"(?=.{{1,253}}\Z)(\*\.)?{_LABEL}(\.{_LABEL})*")
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]+", re.IGNORECASE)
# A value is quoted where it has a character that separates; `"` is then written `\\"`.
_ELEMENT = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^;,"]*)(;|\Z)')


class ClientCertificate(NamedTuple):
    """A certificate that was verified.

    Args:
        sha256: Of its DER form, 64 hexadecimal digits in lower case.
        names: All that it may be bound by: `sha256:`, `uri:` and `dns:`, each with its value.
    """

    sha256: str
    names: frozenset[str]


def read_header(text: str) -> ClientCertificate | None:
    """Reads x-forwarded-client-cert as Envoy writes it of one certificate; None if it is not so.

    Only to be asked where Envoy has written it: anybody else may write anything.
    """
    sha256, names, place = "", set[str](), 0
    while place < len(text):
        element = _ELEMENT.match(text, place)
        if element is None:
            return None
        key, value, place = element[1].lower(), _unquote(element[2]), element.end()
        if key == "hash":
            if sha256:
                return None
            sha256 = value.lower()
        elif key in ("uri", "dns"):
            names.add(f"{key}:{value.lower() if key == 'dns' else value}")
    if not _SHA256.fullmatch(sha256):
        return None
    return ClientCertificate(sha256, frozenset({f"sha256:{sha256}", *names}))


def parse_name(kind: str, value: str) -> str:
    """Reads what a certificate is to be known by.

    Args:
        kind: `sha256`, `uri` or `dns`.
        value: The digest in hexadecimal, perhaps with colons; or the name itself.

    Raises:
        InvalidFields: It is none.
    """
    if kind == "sha256":
        value = value.replace(":", "").lower()
        if not _SHA256.fullmatch(value):
            raise errors.invalid("sha256", "must have 64 hexadecimal digits")
    elif kind == "dns":
        value = value.lower()
        if not _DNS.fullmatch(value):
            raise errors.invalid("dns", "must be a host's name")
    elif not _URI.fullmatch(value) or len(value) > NAME_LENGTH_MAX - len("uri:"):
        raise errors.invalid("uri", "must be a URI such as spiffe://example.org/billing")
    return f"{kind}:{value}"


def _unquote(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])
