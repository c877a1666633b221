"""Opening a connection: where to, the handshake, the first frame."""

import asyncio
import ipaddress
import os
import socket
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from openmesh_sdk.connection.framing import FrameStream
from openmesh_sdk.connection.tls import TlsTransport
from openmesh_sdk.connection.transport import TcpTransport, Transport
from openmesh_sdk.connection.websocket import WebSocketTransport
from openmesh_sdk.errors import Closed, Goodbye, HandshakeFailed, Malformed, TimedOut, Unreachable
from openmesh_sdk.identity import Identity
from openmesh_sdk.wire.frames import Farewell, Pong
from openmesh_sdk.wire.handshake import (
    ALPN,
    MAGIC,
    NONCE_BYTES,
    ServerHello,
    SignedServerHello,
    check_server,
    client_hello,
)
from openmesh_sdk.wire.limits import HELLO_BYTES_MAX
from openmesh_sdk.words.ids import AgentId, DomainId
from openmesh_sdk.words.times import now_ms

T = TypeVar("T")

SOCKET_PATH = "/v1/socket"
_SECURE = {"wss": True, "https": True, "tls": True, "ws": False, "http": False, "tcp": False}
_RAW = ("tcp", "tls")
_HTTP_ALPN = b"http/1.1"
_PORTS = {True: 443, False: 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """Where to connect, as whom, and how patiently; times in seconds."""

    url: str
    """`ws://127.0.0.1:7480`, `wss://node.example.org`; `tcp://…` and `tls://…` for the native listener."""
    identity: Identity
    domain: DomainId
    """The domain whose nodes are trusted; no other is spoken to."""
    ca_file: str | Path | None = None
    """Authorities for TLS, such as the development CA of `openmesh up --tls dev`; otherwise the system's."""
    connect_timeout: float = 10.0
    """How long each step of connecting may take."""
    command_timeout: float = 30.0
    """How long a command may take, besides the time it was asked to wait."""
    send_timeout: float = 30.0
    """How long an outcome is waited for, resending included."""
    keepalive: float = 10.0
    """After how long a silence the node is asked whether it is there; three times that ends the connection."""
    subscription_messages_max: int = 1024
    """How many unread messages of one subscription are kept; what exceeds it is reported as a gap."""
    reconnect_for: float = field(default=60.0)
    """How long a lost connection is tried to be made again; 0: not at all."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection fresh from its handshake."""

    stream: FrameStream
    hello: ServerHello

    @property
    def node(self) -> AgentId:
        """The node at the other end."""
        return self.hello.certificate.node


async def open_connection(options: ConnectOptions) -> Opened:
    """Connect, check the node against the pinned domain, prove the agent's key."""
    step = options.connect_timeout
    stream, said, answer = await _say_hello(options.url, options.ca_file, options.identity, step)
    try:
        hello = check_server(options.domain, said, answer, stream.transport.exporter, now_ms())
        auth = options.identity.prove(said, answer, stream.transport.exporter)
        await _within("proving the agent's key", step, stream.write_message(auth))
        await _within("being let in", step, _await_entry(stream))
    except BaseException:
        await stream.transport.close()
        raise
    return Opened(stream, hello)


async def fetch_domain(url: str, *, ca_file: str | Path | None = None, timeout: float = 10.0) -> DomainId:  # noqa: ASYNC109
    """Ask a node which domain it belongs to, for showing it to a person before it is pinned.

    The node proves its key and certificate; that it is the domain one wants, nobody proves.
    """
    stream, said, answer = await _say_hello(url, ca_file, Identity.create(), timeout)
    try:
        domain = answer.hello().certificate.domain
        check_server(domain, said, answer, stream.transport.exporter, now_ms())
    finally:
        await stream.transport.close()
    return domain


async def _say_hello(
    url: str, ca_file: str | Path | None, identity: Identity, step: float
) -> tuple[FrameStream, bytes, SignedServerHello]:
    transport = await _within("opening a connection", step, _open_transport(url, ca_file))
    stream = FrameStream(transport)
    try:
        said = client_hello(identity.id, os.urandom(NONCE_BYTES))
        await _within("the agent's hello", step, stream.write_message(said, before=MAGIC))
        answer = await _within("the node's hello", step, stream.read_message(HELLO_BYTES_MAX))
        return stream, said, SignedServerHello.read(answer)
    except Malformed as why:
        await transport.close()
        raise HandshakeFailed(f"the node's hello cannot be read: {why}") from why
    except BaseException:
        await transport.close()
        raise


async def _open_transport(url: str, ca_file: str | Path | None) -> Transport:
    parts = urlsplit(url)
    is_secure = _SECURE.get(parts.scheme)
    if is_secure is None or not parts.hostname:
        raise Malformed(f"`{url}` is no address of a node: ws://host:port, wss://…, tcp://… or tls://…")
    host, port = parts.hostname, _port(parts, secure=is_secure)
    if not is_secure:
        host = _loopback(host, url)
    transport: Transport
    try:
        transport = await TcpTransport.open(host, port)
    except OSError as why:
        raise Unreachable(f"no node answers at {url} ({why}): start one with `openmesh up`") from why
    try:
        if is_secure:
            transport = await TlsTransport.open(transport, host, ALPN if parts.scheme in _RAW else _HTTP_ALPN, ca_file)
        if parts.scheme in _RAW:
            return transport
        scheme = "wss" if is_secure else "ws"
        path = SOCKET_PATH if parts.path in ("", "/") else parts.path
        return await WebSocketTransport.open(transport, f"{scheme}://{parts.netloc}{path}")
    except BaseException:
        await transport.close()
        raise


def _port(parts: SplitResult, *, secure: bool) -> int:
    try:
        port = parts.port
    except ValueError:
        port = None
    if port is None and parts.scheme in _RAW:
        raise Malformed(f"`{parts.geturl()}` names no port")
    return port or _PORTS[secure]


def _loopback(host: str, url: str) -> str:
    """In plaintext a name is looked up here, and only an address of this machine will do."""
    try:
        found = [one[4][0] for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError as why:
        raise Unreachable(f"{url}: {why}") from why
    addresses = [ipaddress.ip_address(str(one)) for one in found]
    if not addresses or not all(address.is_loopback for address in addresses):
        raise Unreachable(
            f"{url} is not on this machine, and a connection in plaintext never leaves it: "
            "use wss://, or run a node here and connect to 127.0.0.1"
        )
    return str(addresses[0])


async def _await_entry(stream: FrameStream) -> None:
    try:
        frame = await stream.read_frame()
    except Malformed as why:
        raise HandshakeFailed(f"the node's first frame cannot be read: {why}") from why
    match frame:
        case Pong(number=0):
            return
        case Farewell(problem):
            raise Goodbye(problem)
        case None:
            raise Closed("the node ended the handshake: it did not accept this agent's proof")
        case _:
            raise HandshakeFailed("the first frame is neither a welcome nor a goodbye")


async def _within(step: str, limit: float, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(limit):
            return await work
    except TimeoutError:
        raise TimedOut(f"{step} took longer than {limit} s: look at the node with `openmesh doctor`") from None
