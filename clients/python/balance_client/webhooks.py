"""Webhooks, as a receiver takes them: whether the service sent what came, and what it tells.

By Standard Webhooks, https://www.standardwebhooks.com.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

from google.protobuf import json_format

from balance_client import v1

_PREFIX = "whsec_"
# By how much the clocks of two machines may differ, and how old a repeated message may be.
TOLERANCE_SECONDS = 300


class WebhookInvalid(Exception):  # noqa: N818 - it is what it says
    """What came was not signed with the secret, or is too old. Answer 400, and do nothing."""


def verify_webhook(headers: Mapping[str, str], body: bytes, secret: str) -> v1.Event:
    """The event that a request tells, once it is clear that the service sent it.

    It may come again, under the same id, and in another order than it happened.

    Args:
        headers: Of the request, by names in small letters or in any others.
        body: Of the request, byte by byte as it came.
        secret: The endpoint's, "whsec_" and what follows.

    Raises:
        WebhookInvalid: The service did not send it, or not within the last five minutes.
        ValueError: The secret is none.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp, signatures = (
            given[f"webhook-{name}"] for name in ("id", "timestamp", "signature")
        )
        age = int(time.time()) - int(timestamp)
    except (KeyError, ValueError):
        raise WebhookInvalid("the headers of Standard Webhooks are missing") from None
    if abs(age) > TOLERANCE_SECONDS:
        raise WebhookInvalid("it is too old, or from the future")
    covered = _bytes(f"{message_id}.{timestamp}.") + body
    made = base64.b64encode(hmac.digest(_key(secret), covered, hashlib.sha256)).decode()
    if not any(_is_signature(each, f"v1,{made}") for each in signatures.split()):
        raise WebhookInvalid("it was not signed with this secret")
    return json_format.Parse(body, v1.Event(), ignore_unknown_fields=True)


def _is_signature(given: str, made: str) -> bool:
    return hmac.compare_digest(_bytes(given), _bytes(made))


def _bytes(text: str) -> bytes:
    # Frameworks read a header's bytes that are no text as surrogates.
    return text.encode(errors="surrogateescape")


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    # Anybody signs with an empty one.
    if not key:
        raise ValueError("the secret must be whsec_ and base64")
    return key
