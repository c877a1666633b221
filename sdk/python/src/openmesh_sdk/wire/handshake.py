"""The handshake: the node proves itself first, then the agent, each over everything said before."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from openmesh_sdk.errors import HandshakeFailed, Malformed
from openmesh_sdk.wire import ed25519
from openmesh_sdk.wire.cbor import decode, encode
from openmesh_sdk.wire.certificate import Certificate
from openmesh_sdk.wire.digest import hash_in
from openmesh_sdk.wire.fields import Fields
from openmesh_sdk.words.ids import AgentId

MAGIC = b"OpnMesh\x01"
VERSION = 1
NONCE_BYTES = 32
EXPORTER_LABEL = b"EXPORTER-openmesh-handshake-v1"
"""Of the TLS exporter (RFC 8446, section 7.5) that a handshake over TLS is bound to; its context is empty."""
EXPORTER_BYTES = 32
ALPN = b"openmesh/1"
"""What TLS calls this protocol (RFC 7301)."""
PLAINTEXT = b""
"""In place of an exporter: a connection in plaintext, which never leaves the machine."""

_SERVER_CONTEXT = "openmesh server hello v1"
_CLIENT_CONTEXT = "openmesh client auth v1"
_LOOPBACK = b"loopback"


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What a node says of itself."""

    version: int
    certificate: Certificate
    in_flight_max: int
    frame_bytes_max: int


@dataclass(frozen=True, slots=True)
class SignedServerHello:
    """A server hello as it stands on the wire."""

    encoded: bytes
    signature: bytes

    @classmethod
    def read(cls, message: bytes) -> "SignedServerHello":
        """Read the node's answer."""
        fields = Fields(decode(message), "a signed server hello")
        return cls(fields.binary(0), fields.binary(1, ed25519.SIGNATURE_BYTES))

    def hello(self) -> ServerHello:
        """Read what was signed; says nothing of whether it is true."""
        fields = Fields(decode(self.encoded), "a server hello")
        version = fields.uint(0)
        if version != VERSION:
            raise HandshakeFailed("the node speaks no version of the protocol that this SDK speaks")
        fields.binary(2, NONCE_BYTES)
        certificate = Certificate.of_item(fields.get(1))
        return ServerHello(version, certificate, fields.uint(3), fields.uint(4))


def client_hello(agent: AgentId, nonce: bytes) -> bytes:
    """Write what an agent says first."""
    key = agent.public_key
    return encode([[VERSION], key, key, nonce])


def check_server(pinned: str, said: bytes, answer: SignedServerHello, exporter: bytes, now_ms: int) -> ServerHello:
    """Check that the node is one of the pinned domain and answered this hello on this channel."""
    try:
        hello = answer.hello()
    except Malformed as why:
        raise HandshakeFailed(f"the node's hello cannot be read: {why}") from why
    hello.certificate.check(pinned, now_ms)
    node = hello.certificate.node.public_key
    transcript = _server_transcript(said, answer, exporter)
    if not ed25519.verifies(node, _SERVER_CONTEXT, transcript, answer.signature):
        raise HandshakeFailed("the node's signature does not fit what was said, or where: something stands in between")
    return hello


def client_auth(key: Ed25519PrivateKey, said: bytes, answer: SignedServerHello, exporter: bytes) -> bytes:
    """Write the agent's proof of its key, bound to the channel."""
    transcript = client_transcript(said, answer, exporter)
    return encode([ed25519.sign(key, _CLIENT_CONTEXT, transcript)])


def check_client(said: bytes, answer: SignedServerHello, auth: bytes, exporter: bytes) -> AgentId:
    """Check an agent's proof, as a node does; for tests with a node of their own."""
    agent = check_client_hello(said)
    signature = Fields(decode(auth), "a client auth").binary(0, ed25519.SIGNATURE_BYTES)
    transcript = client_transcript(said, answer, exporter)
    if not ed25519.verifies(agent.public_key, _CLIENT_CONTEXT, transcript, signature):
        raise HandshakeFailed("the agent's signature does not fit what was said")
    return agent


def check_client_hello(said: bytes) -> AgentId:
    """Check the first hello, as a node does."""
    fields = Fields(decode(said), "a client hello")
    agent = AgentId.of_key(fields.binary(1, ed25519.KEY_BYTES))
    fields.binary(3, NONCE_BYTES)
    if VERSION not in fields.items(0) or fields.binary(2) != agent.public_key:
        raise HandshakeFailed("another version, or another agent's key")
    return agent


def client_transcript(said: bytes, answer: SignedServerHello, exporter: bytes) -> bytes:
    """Hash everything said, and what binds it to the channel."""
    so_far = _server_transcript(said, answer, exporter)
    return hash_in(_CLIENT_CONTEXT, so_far, answer.signature, exporter or _LOOPBACK)


def _server_transcript(said: bytes, answer: SignedServerHello, exporter: bytes) -> bytes:
    return hash_in(_SERVER_CONTEXT, MAGIC, len(said).to_bytes(8, "big"), said, answer.encoded, exporter)
