"""The task that writes: takes all that waits, packs messages into as few frames as fit, writes them at once.

No timer holds a lone message back: batches form while the one before is being written.
"""

from typing import TYPE_CHECKING, TypeAlias

from openmesh_sdk.errors import TooLarge
from openmesh_sdk.message import Message
from openmesh_sdk.wire.frames import Ask, ClientFrame, Ping, Send, StreamActs
from openmesh_sdk.wire.limits import FRAME_MESSAGES_MAX
from openmesh_sdk.wire.streams import StreamAct

if TYPE_CHECKING:
    from openmesh_sdk.connection.framing import FrameStream
    from openmesh_sdk.connection.link import Connection

Outgoing: TypeAlias = tuple[int, Message] | Ask | Ping | StreamActs | None
"""A message with its tag, a command, a ping, words about streams; None: nothing follows."""

_WRITE_BYTES = 256 * 1024
_MESSAGE_OVERHEAD_BYTES = 1024
_ATTRIBUTE_OVERHEAD_BYTES = 24
_ACT_OVERHEAD_BYTES = 512


def message_bytes_max(message: Message) -> int:
    """Tell more bytes than a message takes in a frame of its own."""
    attributes = message.attributes
    size = sum(len(name) + len(value.encode()) for name, value in attributes.items())
    traces = len(message.transit.traceparent or "") + len(message.transit.tracestate or "")
    overhead = len(attributes) * _ATTRIBUTE_OVERHEAD_BYTES + _MESSAGE_OVERHEAD_BYTES
    return len(message.payload) + size + traces + overhead


class Writer:
    """Packs and writes what a connection has to say."""

    def __init__(self, connection: "Connection", stream: "FrameStream") -> None:
        self._connection = connection
        self._stream = stream
        self._batch: list[tuple[int, Message]] = []
        self._acts: list[StreamAct] = []
        """What is to be said of streams in one frame: never while messages wait for theirs."""
        self._batch_bytes = 0
        self._packed: list[bytes] = []
        self._packed_bytes = 0

    async def write_all(self) -> None:
        """Write until nothing follows."""
        while True:
            last = False
            for outgoing in await self._waiting():
                if outgoing is None:
                    last = True
                    break
                self._pack(outgoing)
                if self._packed_bytes >= _WRITE_BYTES:
                    await self._flush()
            self._pack_batch()
            await self._flush()
            if last:
                await self._stream.transport.finish()
                return

    async def _waiting(self) -> list[Outgoing]:
        """All that waits, up to a frame's messages."""
        connection = self._connection
        while not connection.outgoing:
            connection.to_write.clear()
            await connection.to_write.wait()
        count = min(len(connection.outgoing), FRAME_MESSAGES_MAX)
        taken = [connection.outgoing.popleft() for _ in range(count)]
        connection.taken.set()
        return taken

    def _pack(self, outgoing: tuple[int, Message] | Ask | Ping | StreamActs) -> None:
        if isinstance(outgoing, tuple):
            self._pack_message(*outgoing)
            return
        if isinstance(outgoing, StreamActs):
            for act in outgoing.acts:
                self._pack_act(act)
            return
        self._pack_batch()
        try:
            self._encode(outgoing)
        except TooLarge as why:
            if isinstance(outgoing, Ask):
                self._connection.awaited.answer(outgoing.tag, why)

    def _pack_message(self, tag: int, message: Message) -> None:
        size = message_bytes_max(message)
        is_full = bool(self._acts) or len(self._batch) == FRAME_MESSAGES_MAX
        if is_full or self._batch_bytes + size > self._connection.frame_bytes_max:
            self._pack_batch()
        self._batch_bytes += size
        self._batch.append((tag, message))

    def _pack_act(self, act: StreamAct) -> None:
        size = _ACT_OVERHEAD_BYTES + sum(len(field) for field in act.fields if isinstance(field, str | bytes))
        is_full = bool(self._batch) or len(self._acts) == FRAME_MESSAGES_MAX
        if is_full or self._batch_bytes + size > self._connection.frame_bytes_max:
            self._pack_batch()
        self._batch_bytes += size
        self._acts.append(act)

    def _pack_batch(self) -> None:
        """Give what waits for a frame one."""
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        acts, self._acts = self._acts, []
        if acts:
            self._encode(StreamActs(acts))
        if batch:
            self._encode(Send(batch))

    def _encode(self, frame: ClientFrame) -> None:
        encoded = self._stream.encode(frame, self._connection.frame_bytes_max)
        self._packed.append(encoded)
        self._packed_bytes += len(encoded)

    async def _flush(self) -> None:
        """Write whole frames: as many at once as are small, else one."""
        packed, self._packed, self._packed_bytes = self._packed, [], 0
        chunk = b""
        for encoded in packed:
            if chunk and len(chunk) + len(encoded) > _WRITE_BYTES:
                await self._stream.transport.write(chunk)
                chunk = b""
            chunk += encoded
        if chunk:
            await self._stream.transport.write(chunk)
