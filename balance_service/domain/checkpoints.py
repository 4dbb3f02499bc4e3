"""Checkpoints of the ledger: what a signature says of the movements that it covers."""

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple

_TITLE = "balance-service checkpoint v1"
# The hash before the first checkpoint's.
CHAIN_START = bytes(hashlib.sha256().digest_size)
# The hash in place of that of a side that is not there.
NO_SIDE = bytes(hashlib.sha256().digest_size)


class Checkpoint(NamedTuple):
    """A link of the chain: some movements, and the checkpoint before.

    Args:
        number: From 1 without gaps; 0 stands for the beginning, which nobody signed.
        origin: The service that made it, by its `token_issuer`.
        created_at: When, by Postgres's clock.
        size: How many movements.
        root: The root of the Merkle tree over them.
        previous_hash: The hash of the checkpoint before.
    """

    number: int
    origin: str
    created_at: datetime
    size: int
    root: bytes
    previous_hash: bytes

    def text(self) -> str:
        """What is signed, to be read by people, too. Its first line is that of no token."""
        moment = self.created_at.astimezone(UTC).isoformat(timespec="microseconds")
        return (
            f"{_TITLE}\n"
            f"origin {self.origin}\n"
            f"number {self.number}\n"
            f"time {moment}\n"
            f"movements {self.size}\n"
            f"root {self.root.hex()}\n"
            f"previous {self.previous_hash.hex()}\n"
        )

    @staticmethod
    def number_in(text: str) -> int:
        """The number of the checkpoint with a text.

        Raises:
            ValueError: It is no checkpoint's.
        """
        lines = text.split("\n")
        if len(lines) < 3 or lines[0] != _TITLE or not lines[2].startswith("number "):
            raise ValueError("this is no checkpoint of version 1")
        return int(lines[2].removeprefix("number "))

    def hash(self) -> bytes:
        """What the next checkpoint names."""
        return hashlib.sha256(self.text().encode()).digest() if self.number else CHAIN_START


class Signed(NamedTuple):
    """A checkpoint as it is kept and published.

    Args:
        key_id: The signing key's.
        signature: Ed25519, over the text.
    """

    checkpoint: Checkpoint
    key_id: str
    signature: bytes


class Proved(NamedTuple):
    """What proves that a movement is covered, with all that is kept secret from one of its sides.

    Args:
        number: Its checkpoint's.
        place: Its place among the leaves, from 0.
        leaves: The hashes of all that the checkpoint covers.
        salts: Of the side that the money left, and of the one that it reached.
        movement: What both sides may read, as JSON.
        from_side: What the one whom it left may read; None if that is the service.
        to_side: What the one whom it reached may read; None if that is the service, or nothing did.
    """

    number: int
    place: int
    leaves: list[bytes]
    salts: tuple[bytes, bytes]
    movement: str
    from_side: str | None
    to_side: str | None

    def side_hash(self, *, received: bool) -> bytes:
        """The hash of one of its sides."""
        side = self.to_side if received else self.from_side
        if side is None:
            return NO_SIDE
        return hashlib.sha256(self.salts[received] + side.encode()).digest()

    def leaf(self) -> bytes:
        """Its hash in the tree, as it is now."""
        sides = self.side_hash(received=False) + self.side_hash(received=True)
        return hashlib.sha256(b"\x00" + sides + self.movement.encode()).digest()
