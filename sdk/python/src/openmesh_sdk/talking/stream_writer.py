"""The writing end of a stream: keeps what was not taken yet, and offers it again over the next connection."""

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

from openmesh_sdk.connection.link import Connection
from openmesh_sdk.errors import Closed, Rejected, StreamReset, TooLarge, refusal
from openmesh_sdk.message import Message
from openmesh_sdk.session import Session
from openmesh_sdk.talking.stream_link import PASSING, Ending, Link, Lost, Patience, go_on, refused, unfitting
from openmesh_sdk.wire import streams
from openmesh_sdk.wire.frames import Accepted, Passed, Refused
from openmesh_sdk.wire.limits import STREAM_ITEM_BYTES_MAX
from openmesh_sdk.wire.streams import Credit, Done, Go, NoEnd, Reset, StreamEvent, item_cost


class StreamWriter:
    """Writes a stream; `async with` finishes it, or breaks it off where the block raises."""

    def __init__(self, session: Session, offer: Message) -> None:
        self.offer = offer
        """The message that offered it."""
        self._session = session
        self._kept: deque[tuple[int, bytes]] = deque()
        self._consumed = 0
        self._end = 0
        self._finished = False
        self._reason: str | None = None
        self._link: Link | None = None
        self._go: Go | None = None
        self._sent = 0
        self._said_fin = False
        self._patience = Patience()
        self._ending = Ending()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Give the writer itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the stream, or break it off."""
        await (self.finish() if kind is None else self.reset("its writer failed"))

    async def begin(self) -> Self:
        """Offer the stream; raises `Rejected` if the node refuses the offer."""
        try:
            await self._attach(await self._session.connection())
        except Lost:
            self._link = None
        self._task = asyncio.create_task(self._work())
        return self

    async def send(self, item: bytes | str) -> None:
        """Write an item of up to 65,024 bytes once the reader has room for it; a text as UTF-8.

        Nothing is written if the wait is given up.
        """
        content = item.encode() if isinstance(item, str) else bytes(item)
        if len(content) > STREAM_ITEM_BYTES_MAX:
            raise TooLarge(f"{len(content)} bytes of an item, at most {STREAM_ITEM_BYTES_MAX}: write several")
        cost = item_cost(content)
        while not self._has_room(cost):
            await self._change()
        self._kept.append((self._end, content))
        self._end += cost
        self._nudge()

    async def finish(self) -> None:
        """End the stream, and wait until the reader has taken all of it."""
        self._finished = True
        self._nudge()
        while not self._ending.is_over:
            await self._change()
        self._ending.check()

    async def reset(self, reason: str) -> None:
        """Break the stream off, for a reason that the reader is told."""
        self._reason = reason
        self._nudge()
        while not self._ending.is_over:
            await self._change()

    def _has_room(self, cost: int) -> bool:
        self._ending.check()
        if self._ending.is_over or self._finished:
            raise Closed("the stream has ended")
        return self._go is not None and self._end + cost <= self._consumed + self._go.window

    def _nudge(self) -> None:
        if self._link is not None:
            self._link.nudge()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _work(self) -> None:
        try:
            await go_on(self._ending, self._serve, self._again)
        finally:
            self._changed.set()

    async def _attach(self, connection: Connection) -> None:
        """Offer the stream by the same message, and say that this connection writes it."""
        try:
            outcome = await (await connection.submit(self.offer))
        except Closed as why:
            raise Lost from why
        if isinstance(outcome, Refused):
            raise refusal(outcome.problem)
        if not isinstance(outcome, Accepted | Passed):
            raise Lost
        self._link = Link(connection)
        await self._link.say(streams.write(self._link.number, self.offer.id, self._consumed))

    async def _again(self) -> None:
        self._drop_link()
        connection = await self._patience.reconnect(self._session)
        try:
            await self._attach(connection)
        except Lost:
            self._drop_link()
        except Rejected as why:
            if why.code not in PASSING:
                raise

    def _drop_link(self) -> None:
        self._go = None
        if self._link is not None:
            self._link.close()
            self._link = None

    async def _serve(self) -> None:
        if self._link is None:
            raise Lost
        link = self._link
        while not self._ending.is_over:
            if self._reason is not None:
                await link.reset(self._reason)
                return
            if self._go is not None:
                await self._write(link, self._go)
            heard = await link.next()
            if not isinstance(heard, str) and heard is not None:
                self._hear(heard)
                self._changed.set()

    async def _write(self, link: Link, go: Go) -> None:
        """Send what there is credit for."""
        for place, content in list(self._kept):
            behind = place + item_cost(content)
            if place < self._sent:
                continue
            if behind > self._consumed + go.window:
                break
            await link.say(streams.item(link.number, go.run, place, content))
            self._sent = behind
        if self._finished and self._sent == self._end and not self._said_fin:
            self._said_fin = True
            await link.say(streams.fin(link.number, go.run, self._end))

    def _hear(self, event: StreamEvent) -> None:
        match event:
            case Go(start=start, consumed=consumed):
                self._forget_before(consumed)
                if start != self._end and all(place != start for place, _ in self._kept):
                    raise unfitting()
                self._patience.renew()
                self._go, self._sent, self._said_fin = event, start, False
            case Credit(consumed=consumed):
                self._forget_before(consumed)
            case Done():
                self._ending.end(None)
            case NoEnd(problem=problem):
                raise refused(problem)
            case Reset(problem=problem):
                raise StreamReset(problem)
            case _:
                raise unfitting()

    def _forget_before(self, consumed: int) -> None:
        self._consumed = max(self._consumed, consumed)
        while self._kept and self._kept[0][0] < self._consumed:
            self._kept.popleft()
