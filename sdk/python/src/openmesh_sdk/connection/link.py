"""One connection: a task that reads, a task that writes, and what both and their callers share.

Every queue here is bounded, and every wait ends when the connection does.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

from openmesh_sdk.connection.awaited import Awaited, AwaitedSend
from openmesh_sdk.connection.opening import ConnectOptions, Opened
from openmesh_sdk.connection.routes import Routes
from openmesh_sdk.connection.stream_end import StreamEnd
from openmesh_sdk.connection.writer import Outgoing, Writer, message_bytes_max
from openmesh_sdk.errors import Closed, Goodbye, Malformed, MeshError, TimedOut, TooLarge, refusal
from openmesh_sdk.message import Message
from openmesh_sdk.problem import Problem
from openmesh_sdk.wire.frames import (
    Accepted,
    Ask,
    Command,
    Deliver,
    Farewell,
    Outcome,
    Outcomes,
    Ping,
    Pong,
    Replied,
    Reply,
    ServerFrame,
    StreamActs,
    StreamEvents,
    Unknown,
)
from openmesh_sdk.wire.limits import FRAME_BYTES_MAX
from openmesh_sdk.wire.receipt import Receipt
from openmesh_sdk.wire.streams import StreamAct, StreamEvent

_log = logging.getLogger("openmesh_sdk")

_OUTGOING_MAX = 1024
_SILENCES_MAX = 3
_CHECKS_PER_KEEPALIVE = 4
_CHECK_EVERY_MAX_S = 1.0
_CLOSE_WAIT_S = 5.0


class Connection:
    """A connection after its handshake; `start` makes one."""

    def __init__(self, opened: Opened, options: ConnectOptions) -> None:
        self.node = opened.node
        self.frame_bytes_max = min(FRAME_BYTES_MAX, opened.hello.frame_bytes_max)
        self.ended_by: MeshError | None = None
        self.incoming_taken = False
        self.routes = Routes(options.subscription_messages_max)
        self.awaited = Awaited()
        self.streams: dict[int, StreamEnd] = {}
        self.outgoing: deque[Outgoing] = deque()
        self.to_write = asyncio.Event()
        self.taken = asyncio.Event()
        self._stream = opened.stream
        self._options = options
        self._room = asyncio.Semaphore(max(opened.hello.in_flight_max, 1))
        self._tags = itertools.count(1)
        self._verified: tuple[bytes, bytes] | None = None
        self._heard = time.monotonic()
        self._closing = False
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def start(cls, opened: Opened, options: ConnectOptions) -> "Connection":
        """Start the tasks of a connection."""
        connection = cls(opened, options)
        writer = Writer(connection, opened.stream)
        work = (connection._read_all(), writer.write_all(), connection._keep_alive())
        connection._tasks = [asyncio.create_task(connection._guard(one)) for one in work]
        return connection

    def next_tag(self) -> int:
        """Draw a number never used before on this connection, for tags and subscriptions."""
        return next(self._tags)

    def check_size(self, message: Message) -> None:
        """Refuse a message that fits no frame."""
        size = message_bytes_max(message)
        if size > self.frame_bytes_max:
            raise TooLarge(f"{size} bytes do not fit into a frame of {self.frame_bytes_max}: send less")

    async def submit(self, message: Message) -> asyncio.Future[Outcome]:
        """Hand a message over once there is room for one more in flight. An error means that it was not sent."""
        self.check_size(message)
        await self._enter()
        sent: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        tag = self.next_tag()
        self.awaited.sends[tag] = AwaitedSend(message.digest, sent, self._room.release)
        try:
            await self._put((tag, message))
        except BaseException:
            if (send := self.awaited.sends.pop(tag, None)) is not None:
                send.release()
            raise
        return sent

    async def command(self, step: str, command: Command, wait: float = 0.0) -> Reply:
        """Give the node a command that may take `wait` seconds longer than any other."""
        self._need_open()
        tag = self.next_tag()
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.awaited.commands[tag] = answer
        try:
            async with asyncio.timeout(self._options.command_timeout + wait):
                await self._put(Ask(tag, command))
                return await answer
        except TimeoutError:
            raise TimedOut(f"{step} took longer than {self._options.command_timeout + wait} s") from None
        finally:
            self.awaited.commands.pop(tag, None)

    async def ping(self) -> None:
        """Ask the node whether it is there."""
        self._need_open()
        number = self.next_tag()
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.awaited.pongs[number] = answer
        try:
            async with asyncio.timeout(self._options.command_timeout):
                await self._put(Ping(number))
                await answer
        except TimeoutError:
            raise TimedOut(f"a ping took longer than {self._options.command_timeout} s") from None
        finally:
            self.awaited.pongs.pop(number, None)

    def tell(self, command: Command) -> None:
        """Give a command whose reply nobody waits for; dropped if the writer is far behind."""
        self._put_if_room(Ask(self.next_tag(), command))

    async def say(self, act: StreamAct) -> None:
        """Say something of a stream, once the writer keeps up."""
        await self._put(StreamActs([act]))

    async def close(self) -> None:
        """End the connection cleanly: waits for outcomes of sends in flight, then for the node."""
        self._closing = True
        with contextlib.suppress(TimeoutError, MeshError):
            async with asyncio.timeout(_CLOSE_WAIT_S):
                waiting = [send.answer for send in self.awaited.sends.values()]
                if waiting:
                    await asyncio.wait(waiting)
                await self._put(None)
                await self._ended.wait()
        self.end(Closed("the connection is closed (by this side)"))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def end(self, why: MeshError) -> None:
        """End every wait; the first reason given stays."""
        if self.ended_by is not None:
            return
        self.ended_by = why
        self._ended.set()
        self.taken.set()
        self.awaited.end(why)
        self.routes.end()
        for stream_end in self.streams.values():
            stream_end.end()
        self.streams.clear()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def _put(self, outgoing: Outgoing) -> None:
        while True:
            self._need_open()
            if len(self.outgoing) < _OUTGOING_MAX:
                self.outgoing.append(outgoing)
                self.to_write.set()
                return
            self.taken.clear()
            await self.taken.wait()

    def _put_if_room(self, outgoing: Outgoing) -> None:
        if len(self.outgoing) < _OUTGOING_MAX:
            self.outgoing.append(outgoing)
            self.to_write.set()

    async def _enter(self) -> None:
        """Take a place among those in flight; the end of the connection gives all places back."""
        self._need_open()
        await self._room.acquire()
        if self.ended_by is not None:
            self._room.release()
            raise self.ended_by

    def _need_open(self) -> None:
        if self.ended_by is not None:
            raise self.ended_by

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except MeshError as why:
            self.end(why)
        except asyncio.CancelledError:
            raise
        except Exception as why:  # noqa: BLE001
            _log.exception("a task of the connection failed")
            self.end(Closed(f"the connection is gone ({why})"))
        finally:
            if self.ended_by is not None:
                await self._stream.transport.close()

    async def _read_all(self) -> None:
        while True:
            try:
                frame = await self._stream.read_frame()
            except Malformed as why:
                raise Closed(f"the node sent what is no frame: {why}") from why
            if frame is None:
                side = "this side" if self._closing else "the node"
                raise Closed(f"the connection is closed (by {side})")
            self._heard = time.monotonic()
            self._take_in(frame)

    def _take_in(self, frame: ServerFrame) -> None:
        match frame:
            case Outcomes(outcomes):
                for tag, outcome in outcomes:
                    self._settle(tag, outcome)
            case Replied(tag, answer):
                self.awaited.answer(tag, refusal(answer) if isinstance(answer, Problem) else answer)
            case Deliver(deliveries):
                for delivery in deliveries:
                    self.routes.deliver(delivery)
            case StreamEvents(events):
                self._hear_of_streams(events)
            case Pong(number):
                self.awaited.answer_ping(number)
            case Farewell(problem):
                raise Goodbye(problem)

    def _hear_of_streams(self, events: list[StreamEvent]) -> None:
        for event in events:
            if (stream_end := self.streams.get(event.stream)) is not None:
                stream_end.push(event)

    def _settle(self, tag: int, outcome: Outcome) -> None:
        send = self.awaited.sends.get(tag)
        if send is None:
            _log.error("the node answered a send that it had answered or never got")
            return
        if isinstance(outcome, Accepted) and not self._holds(outcome.receipt, send):
            _log.error("a receipt is for another message or not signed by the node: its send counts as unknown")
            outcome = Unknown()
        self.awaited.settle(tag, outcome)

    def _holds(self, receipt: Receipt, send: AwaitedSend) -> bool:
        """The receipts of one commit share one signature, which is verified once."""
        if receipt.digest != send.digest or receipt.node != self.node:
            return False
        signed = (receipt.root, receipt.signature)
        if signed != self._verified and not receipt.verifies(self.node):
            return False
        self._verified = signed
        return True

    async def _keep_alive(self) -> None:
        keepalive = self._options.keepalive
        every = min(keepalive / _CHECKS_PER_KEEPALIVE, _CHECK_EVERY_MAX_S)
        asked = self._heard
        while True:
            await asyncio.sleep(every)
            now = time.monotonic()
            silence = now - self._heard
            if silence >= keepalive * _SILENCES_MAX:
                raise Closed(f"the node has been silent for {silence:.1f} s")
            if silence >= keepalive and now - asked >= keepalive:
                asked = now
                # Where there is no room, the node has enough to answer.
                self._put_if_room(Ping(self.next_tag()))
