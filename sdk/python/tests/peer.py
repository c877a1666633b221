"""A MOCK node: does the handshake, then reads and writes the frames a test tells it to. Keeps and decides nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Self, cast

from openmesh_sdk import Digest, DomainId, Identity, Mesh, Message, Problem
from openmesh_sdk.connection.transport import TcpTransport, Transport
from openmesh_sdk.drafting import Options, draft, sign
from openmesh_sdk.wire import merkle
from openmesh_sdk.wire.cbor import Writable, decode, encode
from openmesh_sdk.wire.certificate import commitment_to
from openmesh_sdk.wire.digest import hash_in
from openmesh_sdk.wire.frames import HEADER_BYTES, Ask, FrameDecoder, Send, server_frame
from openmesh_sdk.wire.handshake import MAGIC, SignedServerHello, check_client, check_client_hello
from openmesh_sdk.words.times import now_ms

IN_FLIGHT_MAX = 8
FRAME_BYTES_MAX = 1 << 20
HEAR_WAIT_S = 5.0
DONE, LEASED, DEFINITION, RECEIPT = 0, 1, 3, 6

Accept = Callable[[Transport], Awaitable[Transport]]


async def in_plaintext(transport: Transport) -> Transport:
    return transport


def signed(identity: Identity, context: str, message: bytes) -> bytes:
    return identity._key.sign(context.encode() + b"\0" + message)


class Peer:
    """A listener with a node's identity."""

    def __init__(self, accept: Accept = in_plaintext, in_flight_max: int = IN_FLIGHT_MAX) -> None:
        self.root, self.node = Identity(bytes([100] * 32)), Identity(bytes([101] * 32))
        self.version = 1
        self.in_flight_max = in_flight_max
        self.spoil: Callable[[bytes], bytes] = bytes
        self.proven = 0
        self._accept = accept
        self._arrived: asyncio.Queue[PeerConnection] = asyncio.Queue()
        self._open = AsyncExitStack()
        self.port = 0

    async def __aenter__(self) -> Self:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._open.callback(server.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @property
    def domain(self) -> DomainId:
        return DomainId.of_bytes(hash_in("openmesh inception v1", *self._inception()))

    async def connect(self, **options: Any) -> tuple[Mesh, "PeerConnection"]:
        """Lets one client in."""
        url = options.pop("url", f"tcp://127.0.0.1:{self.port}")
        identity = options.pop("identity", None) or Identity(bytes([1] * 32))
        chosen: dict[str, Any] = {"connect_timeout": 5.0, "domain": self.domain, **options}
        mesh = await Mesh.connect(url, identity=identity, **chosen)
        return mesh, await self.arrived()

    async def arrived(self) -> "PeerConnection":
        async with asyncio.timeout(HEAR_WAIT_S):
            return await self._arrived.get()

    def receipt(self, digest: Digest, node: Identity | None = None) -> Writable:
        """A signed receipt, alone in its commit."""
        receipt: Writable = [digest.raw, 2, [0, 1, 7], [["topic/a", 1]], False, bytes(32), now_ms()]
        node = node or self.node
        root = merkle.leaf("openmesh receipt leaf v1", encode(receipt))
        signature = signed(node, "openmesh receipt root v1", root)
        return [receipt, [node.id.public_key, signature, 0, []]]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            transport = await self._accept(TcpTransport(reader, writer))
            connection = PeerConnection(transport)
            await self._shake_hands(connection)
            await self._arrived.put(connection)
        except (EOFError, OSError):
            writer.close()

    async def _shake_hands(self, connection: "PeerConnection") -> None:
        exporter = connection.transport.exporter
        assert await connection.take(len(MAGIC)) == MAGIC
        said = await connection.read()
        check_client_hello(said)
        span: Writable = [now_ms() - 60_000, now_ms() + 600_000]
        issued: list[Writable] = [self._inception(), self.node.id.public_key, span[0], span[1]]  # type: ignore[index]
        issued.append(signed(self.root, "openmesh node certificate v1", encode([1, *issued])))
        hello = encode([self.version, issued, bytes(32), self.in_flight_max, FRAME_BYTES_MAX])
        transcript = hash_in("openmesh server hello v1", MAGIC, len(said).to_bytes(8, "big"), said, hello, exporter)
        answer = encode([hello, signed(self.node, "openmesh server hello v1", transcript)])
        await connection.write(self.spoil(answer))
        auth = await connection.read()
        check_client(said, SignedServerHello.read(answer), auth, exporter)
        self.proven += 1
        await connection.say(3, 0)

    def _inception(self) -> list[bytes]:
        return [self.root.id.public_key, commitment_to(bytes(32))]


class PeerConnection:
    """One connection of a client."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._decoder = FrameDecoder()
        self._buffer = b""

    async def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            chunk = await self.transport.read()
            if not chunk:
                raise EOFError
            self._buffer += chunk
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    async def read(self) -> bytes:
        async with asyncio.timeout(HEAR_WAIT_S):
            return await self.take(int.from_bytes(await self.take(HEADER_BYTES), "big"))

    async def write(self, message: bytes) -> None:
        await self.transport.write(len(message).to_bytes(HEADER_BYTES, "big") + message)

    async def say(self, kind: int, *items: Writable) -> None:
        await self.transport.write(server_frame(kind, *items))

    async def hear(self) -> Any:
        return self._decoder.decode_client(await self.read())

    async def hear_sends(self) -> list[tuple[int, Message]]:
        frame = await self.hear()
        assert isinstance(frame, Send), frame
        return list(frame.messages)

    async def answer_command(self, number: int, *fields: Writable) -> Ask:
        """Hears a command and answers it."""
        frame = await self.hear()
        assert isinstance(frame, Ask), frame
        await self.say(1, frame.tag, [0, [number, list(fields)]])
        return frame

    async def accept(self, tag: int, receipt: Writable) -> None:
        await self.say(0, [[tag, [0, [receipt]]]])

    async def reject(self, tag: int, problem: Problem) -> None:
        nexts: Writable = [[one.performative, one.schema, one.instance] for one in problem.allowed_next]
        fields: Writable = [problem.code, problem.detail, problem.pointer, problem.state, nexts, problem.retry_after_ms]
        await self.say(0, [[tag, [1, [fields]]]])

    async def deliver(self, subscription: int, number: int, message: Message) -> None:
        item = decode(encode(message.to_item()))
        assert isinstance(item, list)
        await self.say(2, [[0, subscription, number, *item]])


def message_from(sender: Identity, domain: DomainId, to: str, payload: object = None, **options: Any) -> Message:
    """A message from `sender` to an agent of a domain."""
    address = f"mesh://{domain}/agent/{to}"
    act, chosen = options.pop("act", "inform"), cast("Options", options)
    return sign(draft(sender.id, address, act, payload, chosen), sender)


def forged(message: Message) -> Message:
    """The same message with another payload under the same proof."""
    return Message(message.attributes, b"forged", message.proof)
