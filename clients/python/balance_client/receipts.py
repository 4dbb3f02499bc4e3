"""Checks receipts without the service, as its guide "Receipts" describes them.

Signatures need `cryptography`: install `balance-ledger-client[receipts]`.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from balance_client import v1


class ReceiptInvalid(ValueError):  # noqa: N818 - it is what it says
    """A receipt does not prove what it shows."""


class Proved(NamedTuple):
    """What a receipt proves.

    Args:
        movement: What both sides may read of it; amounts are in minor units.
        entry: The entry on the account of the receipt.
        checkpoint: The lines of the checkpoint, by their first words: `origin`, `number`, `time`,
            `movements`, `root` and `previous`.
    """

    movement: Mapping[str, Any]
    entry: Mapping[str, Any]
    checkpoint: Mapping[str, str]


class CheckedReceipt(NamedTuple):
    """A receipt that was checked.

    Args:
        receipt: As the service answered it, to be kept: whoever has it checks it again.
        proved: What it proves.
    """

    receipt: v1.Receipt
    proved: Proved


def check_receipt(receipt: v1.Receipt, public_key: bytes) -> Proved:
    """Checks a receipt.

    Args:
        receipt: As GetReceipt answered it.
        public_key: The service's Ed25519 key of `receipt.checkpoint.key_id`, 32 bytes. Take it
            from where you know that it is the service's, and not from the receipt.

    Raises:
        ReceiptInvalid: It does not lead to a checkpoint that this key signed.
        ImportError: `cryptography` is not installed.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - an extra
        Ed25519PublicKey,
    )

    text = receipt.checkpoint.text
    try:
        signature = bytes.fromhex(receipt.checkpoint.signature)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text.encode())
        checkpoint = dict(line.split(" ", 1) for line in text.splitlines())
        if _root(receipt, int(checkpoint["movements"])) != bytes.fromhex(checkpoint["root"]):
            raise ReceiptInvalid("the receipt does not lead to its checkpoint")
        return Proved(json.loads(receipt.movement), json.loads(receipt.entry), checkpoint)
    except InvalidSignature:
        raise ReceiptInvalid("the key did not sign the checkpoint") from None
    except (ValueError, KeyError) as error:
        raise ReceiptInvalid(f"the receipt is malformed: {error}") from error


def published(jwks: v1.Jwks) -> Mapping[str, bytes]:
    """The Ed25519 keys that the service publishes, by their ids."""
    return {key.kid: base64.urlsafe_b64decode(key.x + "=" * (-len(key.x) % 4)) for key in jwks.keys}


def checked(
    receipt: v1.Receipt, keys: Mapping[str, bytes], movement: str, account: str
) -> CheckedReceipt:
    """Checks a receipt, and that it is the one that was asked for.

    Args:
        receipt: As GetReceipt answered it.
        keys: The service's keys, by their ids.
        movement: The movement's id.
        account: The account whose entry it shows; empty for any.

    Raises:
        ReceiptInvalid: It proves nothing, or something else.
    """
    key = keys.get(receipt.checkpoint.key_id)
    if key is None:
        raise ReceiptInvalid(f"the key {receipt.checkpoint.key_id!r} is none of those given")
    proved = check_receipt(receipt, key)
    told = proved.movement.get("movement_id"), proved.entry.get("account_id")
    if told != (movement.lower(), account.lower() or told[1]):
        raise ReceiptInvalid("the receipt is that of another movement or account")
    return CheckedReceipt(receipt, proved)


def _root(receipt: v1.Receipt, size: int) -> bytes | None:
    """The root that the receipt leads to (RFC 9162, 2.1.3.2); None if its path is no tree's."""
    own = _sha256(bytes.fromhex(receipt.salt), receipt.entry.encode())
    other = bytes.fromhex(receipt.other_side)
    sides = (other, own) if receipt.received else (own, other)
    node = _sha256(b"\x00", *sides, receipt.movement.encode())
    place, last = receipt.place, size - 1
    for sibling in map(bytes.fromhex, receipt.path):
        if place & 1 or place == last:
            node = _sha256(b"\x01", sibling, node)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            node = _sha256(b"\x01", node, sibling)
        place, last = place >> 1, last >> 1
    return node if last == 0 else None


def _sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
