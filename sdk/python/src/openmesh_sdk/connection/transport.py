"""How bytes travel: the seam between the protocol and what carries it, and the plainest carrier, TCP."""

import asyncio
import contextlib
from typing import Protocol

from openmesh_sdk.errors import Closed
from openmesh_sdk.wire.handshake import PLAINTEXT

READ_BYTES = 64 * 1024
_CLOSE_WAIT_S = 1.0


class Transport(Protocol):
    """Carries a stream of bytes in each direction."""

    @property
    def exporter(self) -> bytes:
        """What ties a handshake to this very channel: keying material of TLS; nothing in plaintext."""

    async def read(self) -> bytes:
        """Return some bytes; none at the end."""

    async def write(self, chunk: bytes) -> None:
        """Hand bytes over, whole frames at a time; waits while the other side is slow."""

    async def finish(self) -> None:
        """Say that nothing follows."""

    async def close(self) -> None:
        """End the channel."""


class TcpTransport:
    """Plain TCP, which never leaves the machine."""

    exporter = PLAINTEXT

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "TcpTransport":
        """Connect; raises OSError if nobody listens."""
        reader, writer = await asyncio.open_connection(host, port, limit=READ_BYTES)
        return cls(reader, writer)

    async def read(self) -> bytes:
        """Return some bytes; none at the end."""
        try:
            return await self._reader.read(READ_BYTES)
        except OSError as why:
            raise Closed(f"the connection is gone ({why})") from why

    async def write(self, chunk: bytes) -> None:
        """Hand bytes over."""
        try:
            self._writer.write(chunk)
            await self._writer.drain()
        except OSError as why:
            raise Closed(f"the connection is gone ({why})") from why

    async def finish(self) -> None:
        """Close the sending side."""
        with contextlib.suppress(OSError):
            if self._writer.can_write_eof():
                self._writer.write_eof()

    async def close(self) -> None:
        """Close both sides."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await self._writer.wait_closed()
