"""WebSocket over another transport: each binary message holds whole frames of the native protocol."""

from typing import TYPE_CHECKING

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from openmesh_sdk.errors import Closed, HandshakeFailed, Unreachable

if TYPE_CHECKING:
    from openmesh_sdk.connection.transport import Transport

SUBPROTOCOL = "openmesh.native.v1"
_MESSAGE_BYTES_MAX = 8 * 1024 * 1024
_NORMAL_END = 1000


class WebSocketTransport:
    """The native byte stream in binary messages."""

    def __init__(self, below: "Transport", protocol: ClientProtocol) -> None:
        self._below = below
        self._protocol = protocol
        self.exporter = below.exporter

    @classmethod
    async def open(cls, below: "Transport", url: str) -> "WebSocketTransport":
        """Upgrade the connection below; `url` says which path of which host."""
        protocol = ClientProtocol(parse_uri(url), subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=_MESSAGE_BYTES_MAX)
        protocol.send_request(protocol.connect())
        transport = cls(below, protocol)
        await transport._flush()
        while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
            await transport._feed()
        transport._check_upgrade(url)
        return transport

    async def read(self) -> bytes:
        """Return some bytes; none at the end."""
        while True:
            chunk = b"".join(self._received())
            if chunk:
                return chunk
            if self._protocol.state is State.CLOSED:
                return b""
            await self._feed()
            await self._flush()

    async def write(self, chunk: bytes) -> None:
        """Hand whole frames over as one message."""
        if self._protocol.state is not State.OPEN:
            raise Closed("the connection is gone (the WebSocket is closing)")
        self._protocol.send_binary(chunk)
        await self._flush()

    async def finish(self) -> None:
        """Begin the closing handshake."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(_NORMAL_END)
            await self._flush()

    async def close(self) -> None:
        """End the channel."""
        await self._below.close()

    def _received(self) -> list[bytes]:
        frames = [event for event in self._protocol.events_received() if isinstance(event, Frame)]
        if any(frame.opcode is Opcode.TEXT for frame in frames):
            raise Closed("the node sent text where binary frames belong")
        return [bytes(frame.data) for frame in frames if frame.opcode in (Opcode.BINARY, Opcode.CONT)]

    async def _feed(self) -> None:
        received = await self._below.read()
        if received:
            self._protocol.receive_data(received)
        else:
            self._protocol.receive_eof()

    async def _flush(self) -> None:
        chunks = self._protocol.data_to_send()
        if all(chunks):
            await self._below.write(b"".join(chunks))
            return
        # An empty chunk is the protocol's sign that nothing follows.
        await self._below.write(b"".join(chunks))
        await self._below.finish()

    def _check_upgrade(self, url: str) -> None:
        why = self._protocol.handshake_exc
        if isinstance(why, InvalidStatus):
            raise Unreachable(f"{url} is no socket of a node: HTTP {why.response.status_code}{_said(why.response)}")
        if isinstance(why, InvalidMessage | EOFError):
            raise Unreachable(f"{url} does not speak HTTP: is it the node's HTTP address?")
        if isinstance(why, InvalidHandshake) or why is not None:
            raise Unreachable(f"{url} refused the WebSocket: {why}")
        if self._protocol.subprotocol != SUBPROTOCOL:
            raise HandshakeFailed(f"{url} does not speak {SUBPROTOCOL}")


def _said(response: Response) -> str:
    text = (response.body or b"").decode("utf-8", "replace").strip()
    return f" ({text[:200]})" if text else ""
