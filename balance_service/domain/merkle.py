"""Merkle trees of Certificate Transparency (RFC 6962, 2.1; RFC 9162, 2.1.3): roots and paths."""

import hashlib
from collections.abc import Sequence

_NODE = b"\x01"
EMPTY_ROOT = hashlib.sha256().digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over some leaves.

    Args:
        leaves: Their hashes, each made over a byte 0x00 and the leaf, so that none can be taken
            for a node.
    """
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from a leaf to the root, from the bottom up.

    Args:
        leaves: As those of `root`.
        index: The leaf's place, from 0.
    """
    level, found = list(leaves), []
    while len(level) > 1:
        if (sibling := index ^ 1) < len(level):
            found.append(level[sibling])
        level, index = _above(level), index >> 1
    return found


def climbed(leaf: bytes, index: int, size: int, siblings: Sequence[bytes]) -> bytes | None:
    """The root that a leaf leads to (RFC 9162, 2.1.3.2); None if the path does not fit the tree.

    Args:
        leaf: Its hash.
        index: Its place, from 0.
        size: How many leaves the tree has.
        siblings: As `path` returns them.
    """
    node, last = leaf, size - 1
    if not 0 <= index <= last:
        return None
    for sibling in siblings:
        if last == 0:
            return None
        if index & 1 or index == last:
            node = _node(sibling, node)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = _node(node, sibling)
        index, last = index >> 1, last >> 1
    return node if last == 0 else None


def _above(level: Sequence[bytes]) -> list[bytes]:
    """The next level: who has no sibling goes up as it is, which is the tree that RFC 6962 splits
    at the greatest power of two.
    """
    sha256, even = hashlib.sha256, len(level) & ~1
    above = [sha256(_NODE + level[i] + level[i + 1]).digest() for i in range(0, even, 2)]
    return above + list(level[even:])


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()
