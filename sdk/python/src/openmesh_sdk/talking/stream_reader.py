"""The reading end of a stream: gives credit as items are taken, and goes on where it was."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from openmesh_sdk.errors import Closed, StreamReset
from openmesh_sdk.message import Message
from openmesh_sdk.session import Session
from openmesh_sdk.talking.stream_link import Ending, Link, Patience, go_on, refused, unfitting
from openmesh_sdk.wire import streams
from openmesh_sdk.wire.streams import Done, Fin, Go, Item, NoEnd, Reset, StreamEvent, item_cost

WINDOW_BYTES = 256 * 1024
_CREDIT_PARTS = 4
_LAST_WORD_S = 2.0
"""How long the node is told that all was taken, where connections are lost meanwhile."""


class StreamReader:
    """An asynchronous iterator over the items of a stream; leaving `async with` before its end breaks it off."""

    def __init__(self, session: Session, offer: Message, window: int, place: int) -> None:
        self.offer = offer
        """The message that offered it."""
        self.place = place
        """Where the next item begins: to be kept by those who want to go on after a restart of their own."""
        self._session = session
        self._window = window
        self._items: deque[bytes] = deque()
        self._link: Link | None = None
        self._expected = place
        self._credited = place
        self._fin: int | None = None
        self._said_done = False
        self._is_done = False
        self._abandoned = False
        self._patience = Patience()
        self._ending = Ending()
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._work())

    @property
    def is_open(self) -> bool:
        """Whether the stream is being read and has not ended."""
        return not self._ending.is_over

    async def __aenter__(self) -> Self:
        """Give the reader itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Break the stream off unless it has ended."""
        await self.close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over items; ends with the stream, and raises `StreamReset` where it was broken off."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next item."""
        item = await self.next()
        if item is None:
            raise StopAsyncIteration
        return item

    async def next(self) -> bytes | None:
        """Return the next item; None at the end of the stream."""
        while True:
            if self._items:
                item = self._items.popleft()
                self.place += item_cost(item)
                if self._link is not None:
                    self._link.nudge()
                return item
            if self._ending.is_over:
                self._ending.check()
                return None
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Break the stream off unless it has ended."""
        self._abandoned = True
        if self._link is not None:
            self._link.nudge()
        await asyncio.wait([self._task])

    async def _work(self) -> None:
        try:
            await go_on(self._ending, self._serve, self._again)
        finally:
            self._changed.set()

    async def _again(self) -> None:
        if self._abandoned:
            raise Closed("the stream is read no more")
        if self._is_done and self._patience.is_tried_for(_LAST_WORD_S):
            self._ending.end(None)
            return
        await self._patience.reconnect(self._session)

    async def _serve(self) -> None:
        if self._ending.is_over:
            return
        link = Link(await self._session.connection())
        try:
            self._items.clear()
            self._expected = self._credited = self.place
            self._fin, self._said_done = None, False
            sender = self.offer.sender.public_key
            await link.say(streams.read(link.number, sender, self.offer.id, self.place, self._window))
            self._link = link
            while not self._ending.is_over:
                heard = await link.next()
                if not isinstance(heard, str) and heard is not None:
                    self._hear(heard)
                await self._answer(link)
        finally:
            self._link = None
            link.close()

    def _hear(self, event: StreamEvent) -> None:
        match event:
            case Go():
                self._patience.renew()
            case Item(place=place, content=content) if place == self._expected and self._fin is None:
                self._expected += item_cost(content)
                if self._expected > self.place + self._window:
                    raise unfitting()
                self._items.append(content)
                self._changed.set()
            case Fin(place=place) if place == self._expected and self._fin is None:
                self._fin = place
            case Done() if self._said_done:
                self._ending.end(None)
            case NoEnd(problem=problem):
                raise refused(problem)
            case Reset(problem=problem):
                raise StreamReset(problem)
            case _:
                raise unfitting()

    async def _answer(self, link: Link) -> None:
        """Give credit for what was taken, and say when that was all."""
        place, is_done = self.place, self._fin == self.place
        if self._abandoned and not is_done:
            await link.reset("its reader is gone")
            self._ending.end(None)
            return
        untold = place - self._credited
        if untold and (not self._items or untold >= self._window // _CREDIT_PARTS):
            self._credited = place
            await link.say(streams.credit(link.number, place))
        if is_done and not self._said_done:
            self._said_done = self._is_done = True
            await link.say(streams.done(link.number))
