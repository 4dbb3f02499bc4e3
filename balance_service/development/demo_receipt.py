"""Checks a receipt as somebody does who does not trust the service: without asking it anything."""

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from balance_service._generated.balance.v1 import auth_pb2, proof_pb2
from balance_service.domain import merkle


def check(receipt: proof_pb2.Receipt, key: auth_pb2.Jwk) -> dict[str, Any]:
    """The entry that a receipt proves.

    Args:
        receipt: As GetReceipt answered it.
        key: The service's, as it was published.

    Raises:
        ValueError: It does not lead to a checkpoint that the key signed.
    """
    text = receipt.checkpoint.text
    public_key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(f"{key.x}="))
    try:
        public_key.verify(bytes.fromhex(receipt.checkpoint.signature), text.encode())
    except InvalidSignature:
        raise ValueError("the key did not sign the checkpoint") from None
    told = dict(line.split(" ", 1) for line in text.splitlines())
    own = hashlib.sha256(bytes.fromhex(receipt.salt) + receipt.entry.encode()).digest()
    other = bytes.fromhex(receipt.other_side)
    sides = other + own if receipt.received else own + other
    leaf = hashlib.sha256(b"\x00" + sides + receipt.movement.encode()).digest()
    siblings = [bytes.fromhex(sibling) for sibling in receipt.path]
    root = merkle.climbed(leaf, receipt.place, int(told["movements"]), siblings)
    if root is None or root.hex() != told["root"]:
        raise ValueError("the receipt does not lead to its checkpoint")
    entry: dict[str, Any] = json.loads(receipt.entry)
    return entry
