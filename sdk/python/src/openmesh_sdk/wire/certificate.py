"""A domain's word for its node's key."""

from dataclasses import dataclass

from openmesh_sdk.errors import HandshakeFailed
from openmesh_sdk.wire import ed25519
from openmesh_sdk.wire.cbor import Item, encode
from openmesh_sdk.wire.digest import DIGEST_BYTES, hash_in
from openmesh_sdk.wire.fields import Fields
from openmesh_sdk.words.ids import AgentId, DomainId

_VERSION = 1
_CONTEXT = "openmesh node certificate v1"


@dataclass(frozen=True, slots=True)
class Certificate:
    """That a key is a domain's node's, for a span of time."""

    root_key: bytes
    commitment: bytes
    node: AgentId
    not_before_ms: int
    not_after_ms: int
    signature: bytes

    @property
    def domain(self) -> DomainId:
        """The domain that its inception leads to."""
        return DomainId.of_bytes(hash_in("openmesh inception v1", self.root_key, self.commitment))

    def check(self, pinned: str, now_ms: int) -> None:
        """Check that it holds for a domain at a time."""
        if self.domain != pinned:
            raise HandshakeFailed(f"the node belongs to the domain {self.domain}, not to the pinned {pinned}")
        inception = [self.root_key, self.commitment]
        span = [self.not_before_ms, self.not_after_ms]
        signed = encode([_VERSION, inception, self.node.public_key, *span])
        if not ed25519.verifies(self.root_key, _CONTEXT, signed, self.signature):
            raise HandshakeFailed("the node's certificate is not signed by its domain")
        if not self.not_before_ms <= now_ms <= self.not_after_ms:
            raise HandshakeFailed("the node's certificate does not hold at this time: check both clocks")

    @classmethod
    def of_item(cls, item: Item) -> "Certificate":
        """Read a certificate."""
        fields = Fields(item, "a certificate")
        inception = Fields(fields.get(0), "an inception")
        return cls(
            root_key=inception.binary(0, ed25519.KEY_BYTES),
            commitment=inception.binary(1, DIGEST_BYTES),
            node=AgentId.of_key(fields.binary(1, ed25519.KEY_BYTES)),
            not_before_ms=fields.integer(2),
            not_after_ms=fields.integer(3),
            signature=fields.binary(4, ed25519.SIGNATURE_BYTES),
        )


def commitment_to(next_root_key: bytes) -> bytes:
    """Commit to the root key that will follow."""
    return hash_in("openmesh next root key v1", next_root_key)
