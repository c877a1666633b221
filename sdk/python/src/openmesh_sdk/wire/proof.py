"""Proofs: that a message is its sender's."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire import ed25519, merkle
from openmesh_sdk.wire.cbor import Item, Writable
from openmesh_sdk.wire.digest import DIGEST_BYTES, Digest
from openmesh_sdk.wire.fields import Fields, variant
from openmesh_sdk.wire.limits import PROOF_BATCH_MAX, PROOF_PATH_MAX
from openmesh_sdk.words.ids import AgentId

_SINGLE, _BATCH = 0, 1
_SINGLE_CONTEXT = "openmesh proof v1"
_LEAF_CONTEXT = "openmesh proof leaf v1"
_ROOT_CONTEXT = "openmesh proof root v1"


@dataclass(frozen=True, slots=True)
class Proof:
    """A signature by the sender: over one message, or over the root of a batch."""

    keyid: AgentId
    signature: bytes
    index: int | None = None
    """The message's place in its batch; None for a single one."""
    path: tuple[bytes, ...] = ()
    """Siblings from the leaf upwards."""

    @property
    def is_batch(self) -> bool:
        """Whether the signature covers a batch."""
        return self.index is not None

    def signed(self, digest: Digest) -> bytes:
        """Return what the signature covers: the digest, or the root of its batch."""
        if self.index is None:
            return digest.raw
        if len(self.path) > PROOF_PATH_MAX:
            raise Malformed("the path of a proof is too long")
        return merkle.root_of(merkle.leaf(_LEAF_CONTEXT, digest.raw), self.index, self.path)

    def verifies(self, source: str, digest: Digest) -> bool:
        """Tell whether this proves that the message is `source`'s, by a key of its own."""
        return self.keyid == source and self.holds(digest)

    def holds(self, digest: Digest) -> bool:
        """Tell whether the key that the proof names signed the message."""
        try:
            signed = self.signed(digest)
        except Malformed:
            return False
        context = _ROOT_CONTEXT if self.is_batch else _SINGLE_CONTEXT
        return ed25519.verifies(self.keyid.public_key, context, signed, self.signature)

    def to_item(self) -> Writable:
        """Give the form on the wire."""
        key = self.keyid.public_key
        if self.index is None:
            return [_SINGLE, [key, self.signature]]
        return [_BATCH, [key, self.signature, self.index, list(self.path)]]

    @classmethod
    def of_item(cls, item: Item) -> "Proof":
        """Read the form on the wire."""
        kind, fields = variant(item, "a proof")
        keyid = AgentId.of_key(fields.binary(0, ed25519.KEY_BYTES))
        signature = fields.binary(1, ed25519.SIGNATURE_BYTES)
        if kind == _SINGLE:
            return cls(keyid, signature)
        if kind != _BATCH:
            raise Malformed(f"no proof has kind {kind}")
        return cls(keyid, signature, fields.uint(2), read_path(fields.items(3)))


def read_path(items: Sequence[Item]) -> tuple[bytes, ...]:
    """Read the digests of a path."""
    siblings = Fields(list(items), "a path")
    return tuple(siblings.binary(at, DIGEST_BYTES) for at in range(len(items)))


def sign_one(key: Ed25519PrivateKey, keyid: AgentId, digest: Digest) -> Proof:
    """Sign one message."""
    return Proof(keyid, ed25519.sign(key, _SINGLE_CONTEXT, digest.raw))


def sign_batch(key: Ed25519PrivateKey, keyid: AgentId, digests: Sequence[Digest]) -> list[Proof]:
    """Sign messages with one signature for each 256."""
    proofs: list[Proof] = []
    for at in range(0, len(digests), PROOF_BATCH_MAX):
        leaves = [merkle.leaf(_LEAF_CONTEXT, digest.raw) for digest in digests[at : at + PROOF_BATCH_MAX]]
        root, paths = merkle.tree(leaves)
        signature = ed25519.sign(key, _ROOT_CONTEXT, root)
        proofs.extend(Proof(keyid, signature, index, tuple(path)) for index, path in enumerate(paths))
    return proofs


class ProofMemory:
    """Remembers the last root whose signature held: messages of one batch share it."""

    def __init__(self) -> None:
        self._held: tuple[str, bytes, bytes] | None = None

    def holds(self, proof: Proof, digest: Digest) -> bool:
        """As `Proof.holds`, but checks one signature over many messages once."""
        if not proof.is_batch:
            return proof.holds(digest)
        try:
            root = (proof.keyid, proof.signed(digest), proof.signature)
        except Malformed:
            return False
        if root == self._held:
            return True
        holds = proof.holds(digest)
        if holds:
            self._held = root
        return holds
