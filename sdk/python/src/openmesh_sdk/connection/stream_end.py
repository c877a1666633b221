"""What the node says of one end of a stream, until the task of that end takes it."""

import asyncio
from collections import deque
from typing import Literal, TypeAlias

from openmesh_sdk.wire.limits import STREAM_ITEM_OVERHEAD_BYTES, STREAM_WINDOW_BYTES_MAX
from openmesh_sdk.wire.streams import Item, StreamEvent

UNREAD_BYTES_MAX = 2 * STREAM_WINDOW_BYTES_MAX
"""More than an honest node ever sends to one end that is read from."""

Heard: TypeAlias = StreamEvent | Literal["nudged"] | None
"""An event; that this side has something to say; None when the connection has ended."""


class StreamEnd:
    """The events of one end. For one reader."""

    def __init__(self) -> None:
        self._events: deque[StreamEvent] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._nudged = False
        self._ended = False

    async def next(self) -> Heard:
        """Return what comes next."""
        while True:
            if self._events:
                event = self._events.popleft()
                self._bytes -= _size(event)
                return event
            if self._ended:
                return None
            if self._nudged:
                self._nudged = False
                return "nudged"
            self._changed.clear()
            await self._changed.wait()

    def push(self, event: StreamEvent) -> None:
        """Take an event in."""
        self._events.append(event)
        self._bytes += _size(event)
        self._ended = self._ended or self._bytes > UNREAD_BYTES_MAX
        self._changed.set()

    def nudge(self) -> None:
        """Let the reader know that this side has something to say."""
        self._nudged = True
        self._changed.set()

    def end(self) -> None:
        """Let the reader know that nothing follows."""
        self._ended = True
        self._changed.set()


def _size(event: StreamEvent) -> int:
    return STREAM_ITEM_OVERHEAD_BYTES + (len(event.content) if isinstance(event, Item) else 0)
