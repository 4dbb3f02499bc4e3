"""Merkle trees, against the definition of RFC 6962 and published hashes."""

import hashlib

import pytest

from balance_service.domain import merkle


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def defined(leaves: list[bytes]) -> bytes:
    """The root as section 2.1 defines it, by recursion."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = defined(leaves[:split]), defined(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", [*range(1, 34), 255, 256, 257])
def test_roots_and_paths_are_as_defined(size: int) -> None:
    leaves = [leaf(bytes([place % 256, place // 256])) for place in range(size)]
    root = merkle.root(leaves)
    assert root == defined(leaves)
    for place in range(size):
        path = merkle.path(leaves, place)
        assert merkle.climbed(leaves[place], place, size, path) == root
        assert merkle.climbed(leaves[place], place, size, [*path, root]) != root
        assert merkle.climbed(leaves[place], place, size, path[:-1]) != root or not path
        if size > 1:
            assert merkle.climbed(leaves[place], (place + 1) % size, size, path) != root


def test_place_outside_the_tree_leads_nowhere() -> None:
    assert merkle.climbed(leaf(b""), 1, 1, []) is None
    assert merkle.climbed(leaf(b""), -1, 1, []) is None


def test_roots_are_those_of_certificate_transparency() -> None:
    """The test vectors of Google's implementation."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
    inputs.append("606162636465666768696a6b6c6d6e6f")
    leaves = [leaf(bytes.fromhex(data)) for data in inputs]
    roots = {
        0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, root in roots.items():
        assert merkle.root(leaves[:size]).hex() == root
