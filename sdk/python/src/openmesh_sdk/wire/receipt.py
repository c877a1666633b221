"""Receipts: the node's signed word on how a message was taken in."""

from dataclasses import dataclass
from typing import Literal

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire import ed25519, merkle
from openmesh_sdk.wire.cbor import Item, encode
from openmesh_sdk.wire.digest import DIGEST_BYTES, Digest
from openmesh_sdk.wire.fields import Fields
from openmesh_sdk.wire.limits import FRAME_MESSAGES_MAX, RECEIPT_PATH_MAX
from openmesh_sdk.wire.proof import read_path
from openmesh_sdk.words.ids import AgentId

_LEVELS: dict[int, Literal["received", "edge", "durable"]] = {0: "received", 1: "edge", 2: "durable"}
_LEAF_CONTEXT = "openmesh receipt leaf v1"
_ROOT_CONTEXT = "openmesh receipt root v1"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a message is kept."""

    partition: int
    epoch: int
    seq: int

    def __str__(self) -> str:
        """Write as in listings of the log."""
        return f"{self.partition}.{self.epoch}.{self.seq}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a node vouches for; `verifies` says whether it did."""

    digest: Digest
    """The message."""
    level: Literal["received", "edge", "durable"]
    position: Position | None
    """None at level `received`."""
    logs: tuple[tuple[str, int], ...]
    """Each logical log the message is in, with its number there; the destination's first."""
    duplicate: bool
    """Whether the same message had been accepted before."""
    policy_version: Digest
    at_ms: int
    """When it was decided, ms since the Unix epoch."""
    node: AgentId
    signature: bytes
    root: bytes
    """What the signature covers; one for all receipts of a commit."""

    def verifies(self, node: str) -> bool:
        """Tell whether the node of this id signed it."""
        public_key = self.node.public_key
        return self.node == node and ed25519.verifies(public_key, _ROOT_CONTEXT, self.root, self.signature)

    @classmethod
    def of_item(cls, item: Item) -> "Receipt":
        """Read a signed receipt."""
        signed = Fields(item, "a signed receipt")
        receipt, proof = Fields(signed.get(0), "a receipt"), Fields(signed.get(1), "a receipt's proof")
        path = read_path(proof.items(3))
        if len(path) > RECEIPT_PATH_MAX:
            raise Malformed("the path of a receipt is too long")
        root = merkle.root_of(_leaf(signed.get(0)), proof.uint(2), path)
        return cls._read(receipt, _Signed.of_fields(proof, root))

    @classmethod
    def of_run(cls, item: Item) -> "list[tuple[int, Receipt]]":
        """Read a run: receipts side by side in the tree of their commit, each with the tag of its send."""
        run = Fields(item, "a run of receipts")
        edges, height = read_path(run.items(4)), run.uint(3)
        pairs = [Fields(pair, "a receipt and its tag") for pair in run.items(5)]
        if height > RECEIPT_PATH_MAX or not pairs or len(pairs) > FRAME_MESSAGES_MAX:
            raise Malformed("a run of receipts beyond its bounds")
        root = merkle.root_over([_leaf(pair.get(1)) for pair in pairs], run.uint(2), height, edges)
        signed = _Signed.of_fields(run, root)
        return [(pair.uint(0), cls._read(Fields(pair.get(1), "a receipt"), signed)) for pair in pairs]

    @classmethod
    def _read(cls, receipt: Fields, signed: "_Signed") -> "Receipt":
        level = _LEVELS.get(receipt.uint(1))
        if level is None:
            raise Malformed("a receipt with a level that does not exist")
        return cls(
            digest=Digest.of_bytes(receipt.binary(0, DIGEST_BYTES)),
            level=level,
            position=read_position(receipt.get(2)),
            logs=read_logs(receipt.items(3)),
            duplicate=receipt.flag(4),
            policy_version=Digest.of_bytes(receipt.binary(5, DIGEST_BYTES)),
            at_ms=receipt.integer(6),
            node=signed.node,
            signature=signed.signature,
            root=signed.root,
        )


@dataclass(frozen=True, slots=True)
class _Signed:
    """Who signed the root of a commit."""

    node: AgentId
    signature: bytes
    root: bytes

    @classmethod
    def of_fields(cls, fields: Fields, root: bytes) -> "_Signed":
        """Read the node and the signature, which stand first."""
        node = AgentId.of_key(fields.binary(0, ed25519.KEY_BYTES))
        return cls(node, fields.binary(1, ed25519.SIGNATURE_BYTES), root)


def _leaf(receipt: Item) -> bytes:
    return merkle.leaf(_LEAF_CONTEXT, encode(receipt))


def read_position(item: Item) -> Position | None:
    """Read a position, which may be absent."""
    if item is None:
        return None
    fields = Fields(item, "a position")
    return Position(fields.uint(0), fields.uint(1), fields.uint(2))


def read_logs(items: list[Item]) -> tuple[tuple[str, int], ...]:
    """Read names of logical logs with numbers in them."""
    pairs = [Fields(item, "a number in a log") for item in items]
    return tuple((pair.text(0), pair.uint(1)) for pair in pairs)
