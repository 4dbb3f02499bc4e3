"""What keeps other sites' pages from acting through an operator's browser, or from framing it."""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

BODY_BYTES_MAX = 64 * 1024
FIELDS_MAX = 60
CSRF_FIELD = "csrf"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # With `no-referrer`, browsers would send forms with the origin `null`.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# What is shown is somebody's money as of now, and for this operator alone.
PAGE_HEADERS = {**HEADERS, "cache-control": "no-store"}


class Forbidden(Exception):  # noqa: N818 - the browser is told so
    """A form did not come from one of the console's own pages."""


class BadForm(Exception):  # noqa: N818 - the browser is told so
    """A form cannot be read."""


async def read_form(request: Request) -> dict[str, str]:
    """Reads a form; of a field that is sent twice, the last value.

    Raises:
        BadForm: It is too large, or is none.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadForm
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise BadForm
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise BadForm from None
    # Browsers end lines as mails do (HTML, 4.10.22.4).
    return {name: value.replace("\r\n", "\n").strip() for name, value in pairs}


def check_form(headers: Headers, form: Mapping[str, str], csrf: str) -> None:
    """Raises Forbidden unless a form comes from a page of this console, in this session.

    Args:
        headers: The request's.
        form: The form.
        csrf: What the session's forms send back.
    """
    sent = form.get(CSRF_FIELD, "")
    if not (is_own_origin(headers) and hmac.compare_digest(sent.encode(), csrf.encode())):
        raise Forbidden


def is_own_origin(headers: Headers) -> bool:
    """Whether the browser says that the page which sends this is the console's own.

    The scheme is not compared: a proxy that speaks TLS may not tell that it does.
    """
    origin = urlsplit(headers.get("origin", ""))
    site = headers.get("sec-fetch-site", "same-origin")
    host = headers.get("host", "")
    own = origin.scheme in {"http", "https"} and origin.netloc == host != ""
    return own and site == "same-origin"


def within_console(address: str) -> str:
    """An address within the console, whatever was sent: browsers take `//host` for another site."""
    return "/" + address.lstrip("/\\")


def is_https(request: Request) -> bool:
    """Whether the browser reached the console by https, as far as the request tells."""
    origin = request.headers.get("origin", "")
    return request.url.scheme == "https" or origin.startswith("https://")
