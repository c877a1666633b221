"""WebSocket and TLS under the same protocol, against the mock node; a relay that ends TLS gets nothing."""

import asyncio
import datetime as dt
import ipaddress
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from peer import Peer
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from openmesh_sdk import HandshakeFailed, Unreachable, fetch_domain
from openmesh_sdk.connection import tls
from openmesh_sdk.connection.tls import TlsTransport
from openmesh_sdk.connection.transport import TcpTransport, Transport
from openmesh_sdk.connection.websocket import SUBPROTOCOL
from openmesh_sdk.wire.handshake import ALPN, EXPORTER_BYTES, EXPORTER_LABEL

PING_AND_SEND = 3


class WebSocketSide:
    """A node's side of the WebSocket."""

    def __init__(self, below: Transport, subprotocol: str = SUBPROTOCOL) -> None:
        self._below = below
        self._protocol = ServerProtocol(subprotocols=[Subprotocol(subprotocol)])
        self.exporter = below.exporter
        self.messages = 0

    async def accept(self) -> "WebSocketSide":
        request = None
        while request is None:
            self._protocol.receive_data(await self._below.read())
            request = next(iter(self._protocol.events_received()), None)
        assert getattr(request, "path", "") == "/v1/socket"
        response = self._protocol.accept(request)  # type: ignore[arg-type]
        self._protocol.send_response(response)
        await self._flush()
        return self

    async def read(self) -> bytes:
        while True:
            events = [one for one in self._protocol.events_received() if isinstance(one, Frame)]
            chunk = b"".join(bytes(one.data) for one in events if one.opcode in (Opcode.BINARY, Opcode.CONT))
            if chunk:
                self.messages += 1
                return chunk
            received = b"" if any(one.opcode is Opcode.CLOSE for one in events) else await self._below.read()
            if not received:
                return b""
            self._protocol.receive_data(received)
            await self._flush()

    async def write(self, chunk: bytes) -> None:
        """Each message in three frames, and a ping between: a client takes both."""
        third = len(chunk) // PING_AND_SEND
        self._protocol.send_binary(chunk[:third], fin=False)
        self._protocol.send_ping(b"there?")
        self._protocol.send_continuation(chunk[third : 2 * third], fin=False)
        self._protocol.send_continuation(chunk[2 * third :], fin=True)
        await self._flush()

    async def finish(self) -> None:
        self._protocol.send_close()
        await self._flush()

    async def close(self) -> None:
        await self._below.close()

    async def _flush(self) -> None:
        await self._below.write(b"".join(self._protocol.data_to_send()))


class Authority:
    """Makes certificates for servers."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._make(self._name, self._key, constraints, critical=True)
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: x509.GeneralName) -> Any:
        """What a server needs to accept TLS."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
        certificate = self._make(subject, key, x509.SubjectAlternativeName(names), critical=False)
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_alpn_select_callback(lambda _, offered: ALPN if ALPN in offered else offered[0])
        return context

    def _make(self, subject: x509.Name, key: Any, extension: Any, *, critical: bool) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1))
        made = made.not_valid_after(now + dt.timedelta(hours=1)).add_extension(extension, critical=critical)
        return made.sign(self._key, hashes.SHA256())


HERE = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def over_tls(context: Any) -> Callable[[Transport], Any]:
    async def accept(below: Transport) -> Transport:
        connection = SSL.Connection(context, None)
        connection.set_accept_state()
        transport = TlsTransport(below, connection)
        try:
            await transport._shake_hands()
        except (SSL.Error, HandshakeFailed) as why:
            raise EOFError from why
        transport.exporter = connection.export_keying_material(EXPORTER_LABEL, EXPORTER_BYTES, b"")
        return transport

    return accept


async def over_websocket(below: Transport) -> Transport:
    return await WebSocketSide(below).accept()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


async def exchange(peer: Peer, url: str, **options: Any) -> None:
    """A send and its receipt, a large one too."""
    mesh, connection = await peer.connect(url=url, **options)
    for payload in (b"small", bytes(500_000)):
        sending = asyncio.create_task(mesh.send("inbox:bob", payload))
        [(tag, message)] = await connection.hear_sends()
        assert message.payload == payload
        await connection.accept(tag, peer.receipt(message.digest))
        assert (await sending).is_kept
    closing = asyncio.create_task(mesh.close())
    with pytest.raises(EOFError):
        await connection.hear()
    await connection.transport.close()
    await closing


async def test_over_websocket() -> None:
    async with Peer(over_websocket) as peer:
        await exchange(peer, f"ws://127.0.0.1:{peer.port}")
        await exchange(peer, f"http://localhost:{peer.port}/v1/socket")


async def test_over_tls(authority: Authority) -> None:
    async with Peer(over_tls(authority.server(HERE))) as peer:
        await exchange(peer, f"tls://127.0.0.1:{peer.port}", ca_file=authority.file)
        assert await fetch_domain(f"tls://127.0.0.1:{peer.port}", ca_file=authority.file) == peer.domain


async def test_over_websocket_over_tls(authority: Authority) -> None:
    accept = over_tls(authority.server(x509.DNSName("localhost")))

    async def both(below: Transport) -> Transport:
        return await WebSocketSide(await accept(below)).accept()

    async with Peer(both) as peer:
        await exchange(peer, f"wss://localhost:{peer.port}", ca_file=authority.file)


@pytest.mark.parametrize(
    ("names", "host", "fits"),
    [
        ([HERE], "127.0.0.1", True),
        ([x509.DNSName("localhost")], "localhost", True),
        ([x509.DNSName("LOCALHOST")], "localhost", True),
        ([x509.DNSName("*.localhost")], "localhost", False),
        ([x509.DNSName("localhost")], "127.0.0.1", False),
        ([x509.DNSName("127.0.0.1")], "127.0.0.1", False),
        ([x509.DNSName("elsewhere")], "localhost", False),
    ],
)
async def test_a_certificate_must_be_for_the_host(
    authority: Authority, names: list[x509.GeneralName], host: str, fits: bool
) -> None:
    async with Peer(over_tls(authority.server(*names))) as peer:
        url = f"tls://{host}:{peer.port}"
        if fits:
            await exchange(peer, url, ca_file=authority.file)
            return
        with pytest.raises(HandshakeFailed, match="not for"):
            await peer.connect(url=url, ca_file=authority.file)
        assert peer.proven == 0


def test_a_wildcard_stands_for_one_label() -> None:
    assert tls._is_for("*.example.org", "node.example.org")
    assert not tls._is_for("*.example.org", "example.org")
    assert not tls._is_for("*.example.org", "a.node.example.org")


async def test_an_authority_that_is_not_trusted_ends_it(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    async with Peer(over_tls(authority.server(HERE))) as peer:
        for options in ({"ca_file": other.file}, {}):
            with pytest.raises(HandshakeFailed, match="TLS with"):
                await peer.connect(url=f"tls://127.0.0.1:{peer.port}", **options)


@pytest.fixture
async def relayed(authority: Authority) -> AsyncIterator[tuple[Peer, int]]:
    """A node, and a relay before it that ends TLS with a certificate the client accepts."""
    accept = over_tls(authority.server(HERE))
    async with Peer(accept) as peer:

        async def pump(source: Transport, sink: Transport) -> None:
            while chunk := await source.read():
                await sink.write(chunk)
            await sink.close()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            near = await accept(TcpTransport(reader, writer))
            below = await TcpTransport.open("127.0.0.1", peer.port)
            far = await TlsTransport.open(below, "127.0.0.1", ALPN, authority.file)
            await asyncio.gather(pump(near, far), pump(far, near), return_exceptions=True)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        yield peer, server.sockets[0].getsockname()[1]
        server.close()


async def test_a_relay_that_ends_tls_gets_no_session(authority: Authority, relayed: tuple[Peer, int]) -> None:
    peer, port = relayed
    for _ in range(5):
        with pytest.raises(HandshakeFailed, match="in between"):
            await peer.connect(url=f"tls://127.0.0.1:{port}", ca_file=authority.file)
    assert peer.proven == 0


async def test_without_pyopenssl_tls_is_refused_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "SSL", None)
    async with Peer() as peer:
        with pytest.raises(Unreachable, match=r"openmesh-sdk\[tls\]"):
            await peer.connect(url=f"tls://127.0.0.1:{peer.port}")


async def test_another_kind_of_server_is_told_from_a_node() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nnope!")
        await writer.drain()

    async def other(below: Transport) -> Transport:
        return await WebSocketSide(below, "chat").accept()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with Peer() as peer, Peer(other) as chat:
        with pytest.raises(Unreachable, match="HTTP 404"):
            await peer.connect(url=f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises((HandshakeFailed, Unreachable)):
            await peer.connect(url=f"ws://127.0.0.1:{chat.port}")
    server.close()
