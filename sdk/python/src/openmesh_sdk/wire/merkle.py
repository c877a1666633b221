"""The tree under one signature over many: proofs of messages, receipts of a commit."""

from collections.abc import Sequence

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire.digest import DIGEST_BYTES, sha256

_PADDING = bytes(DIGEST_BYTES)


def leaf(context: str, value: bytes) -> bytes:
    """Hash a digest, or a receipt's bytes, as a leaf; no zero byte follows the context here."""
    return sha256(b"\0", context.encode(), value)


def root_of(start: bytes, index: int, path: Sequence[bytes]) -> bytes:
    """Walk from a leaf to the root."""
    current = start
    for sibling in path:
        current = sha256(b"\1", sibling, current) if index & 1 else sha256(b"\1", current, sibling)
        index >>= 1
    if index:
        raise Malformed("the index lies outside the tree")
    return current


def root_over(leaves: Sequence[bytes], first: int, height: int, edges: Sequence[bytes]) -> bytes:
    """Walk from leaves side by side to the root: the edges are what lies left and right of what is known."""
    level, rest = list(leaves), iter(edges)
    try:
        for _ in range(height):
            if first & 1:
                level.insert(0, next(rest))
            if len(level) & 1:
                level.append(next(rest))
            level = [sha256(b"\1", level[at], level[at + 1]) for at in range(0, len(level), 2)]
            first >>= 1
    except StopIteration:
        raise Malformed("too few edges for the tree") from None
    if first or len(level) != 1 or next(rest, None) is not None:
        raise Malformed("the leaves and edges are no part of such a tree")
    return level[0]


def tree(leaves: Sequence[bytes]) -> tuple[bytes, list[list[bytes]]]:
    """Build the tree over one leaf or more: its root, and each leaf's path."""
    width = 1
    while width < len(leaves):
        width *= 2
    level = [*leaves, *([_PADDING] * (width - len(leaves)))]
    paths: list[list[bytes]] = [[] for _ in leaves]
    shift = 0
    while len(level) > 1:
        for index, path in enumerate(paths):
            path.append(level[(index >> shift) ^ 1])
        level = [sha256(b"\1", level[at], level[at + 1]) for at in range(0, len(level), 2)]
        shift += 1
    return level[0], paths
