"""Whole messages of the handshake and whole frames, out of and into a transport's stream of bytes."""

from openmesh_sdk.connection.transport import Transport
from openmesh_sdk.errors import Closed, TooLarge
from openmesh_sdk.wire.frames import (
    HEADER_BYTES,
    ClientFrame,
    FrameDecoder,
    FrameEncoder,
    ServerFrame,
    body_length,
)


class FrameStream:
    """Reads and writes frames; one reader and one writer at a time."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._encoder = FrameEncoder()
        self._decoder = FrameDecoder()
        self._buffer = bytearray()

    async def read_message(self, bytes_max: int) -> bytes:
        """Read one message of the handshake."""
        header = await self._take(HEADER_BYTES)
        length = int.from_bytes(header or b"", "big")
        if length > bytes_max:
            raise TooLarge(f"{length} bytes are more than {bytes_max}")
        message = None if header is None else await self._take(length)
        if message is None:
            raise Closed("the node ended the handshake")
        return message

    async def write_message(self, message: bytes, before: bytes = b"") -> None:
        """Write one message of the handshake."""
        await self.transport.write(before + len(message).to_bytes(HEADER_BYTES, "big") + message)

    async def read_frame(self) -> ServerFrame | None:
        """Read the next frame; None when the node has ended the connection."""
        header = await self._take(HEADER_BYTES)
        body = None if header is None else await self._take(body_length(header))
        return None if body is None else self._decoder.decode(body)

    def encode(self, frame: ClientFrame, bytes_max: int) -> bytes:
        """Write a frame into bytes; they must leave in the order they were made."""
        return self._encoder.encode(frame, bytes_max)

    async def _take(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            chunk = await self.transport.read()
            if not chunk:
                return None
            self._buffer += chunk
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
