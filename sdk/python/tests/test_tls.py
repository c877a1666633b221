"""TLS against the real node: its development authority, the binding, and a relay that ends TLS."""

import asyncio
from pathlib import Path

import pytest
from conftest import StartNode
from cryptography import x509
from node import has_option
from test_transports import HERE, Authority, over_tls

from openmesh_sdk import HandshakeFailed, Identity, Mesh, fetch_domain
from openmesh_sdk.connection.tls import TlsTransport
from openmesh_sdk.connection.transport import TcpTransport, Transport
from openmesh_sdk.wire.handshake import ALPN

RELAYED = 50

pytestmark = pytest.mark.skipif(not has_option("--tls "), reason="TLS of the node (this openmesh has none)")


async def test_a_session_over_tls_with_either_listener(start_node: StartNode) -> None:
    node = await start_node("--tls", "dev")
    assert node.local.is_tls
    assert await fetch_domain(node.url, ca_file=node.local.ca_file) == node.local.domain
    async with await node.agent("alice") as alice, await node.agent("bob") as bob:
        await alice.send("agent:bob", bytes(300_000), ack_level="durable")
        [job] = await bob.inbox.lease(wait=5.0)
        assert len(job.message.payload) == 300_000
        await job.ack()
    with pytest.raises(HandshakeFailed, match="TLS with"):
        await node.connect(ca_file=None)


async def test_a_relay_with_a_certificate_that_is_accepted_gets_no_session(
    start_node: StartNode, tmp_path: Path
) -> None:
    node = await start_node("--tls", "dev")
    authority = Authority(tmp_path, "relay")
    accept, host, port = over_tls(authority.server(HERE)), *node.local.address.split(":")

    async def pump(source: Transport, sink: Transport) -> None:
        while chunk := await source.read():
            await sink.write(chunk)
        await sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near = await accept(TcpTransport(reader, writer))
        far = await TlsTransport.open(await TcpTransport.open(host, int(port)), host, ALPN, node.local.ca_file)
        await asyncio.gather(pump(near, far), pump(far, near), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for _ in range(RELAYED):
        with pytest.raises(HandshakeFailed, match="in between"):
            await Mesh.connect(url, identity=Identity.create(), domain=node.local.domain, ca_file=authority.file)
    server.close()
    certificate = x509.load_pem_x509_certificate(authority.file.read_bytes())
    assert certificate.issuer == certificate.subject, "the client trusted the relay's authority"
