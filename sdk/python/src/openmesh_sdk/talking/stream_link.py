"""One end of a stream on one connection, and how long another connection is tried."""

import time
from collections.abc import Awaitable, Callable

from openmesh_sdk.connection.link import Connection
from openmesh_sdk.connection.stream_end import Heard, StreamEnd
from openmesh_sdk.errors import Closed, MeshError, StreamReset, TimedOut, UnexpectedReply, Unreachable
from openmesh_sdk.problem import Problem
from openmesh_sdk.session import Backoff, Session
from openmesh_sdk.wire import streams
from openmesh_sdk.wire.limits import STREAM_AWAY_S_MAX
from openmesh_sdk.wire.streams import StreamAct

PASSING = frozenset({"agent.away", "node.busy", "store.full", "stream.unknown", "stream.too_many"})
"""Refusals that another try may not get."""


class Lost(Exception):
    """The connection is gone, or the node knows nothing of the stream: it may go on with another."""


class Link:
    """One end of a stream on one connection."""

    def __init__(self, connection: Connection) -> None:
        if connection.ended_by is not None:
            raise Lost
        self._connection = connection
        self.number = connection.next_tag()
        self._end = connection.streams[self.number] = StreamEnd()

    async def next(self) -> Heard:
        """Return what the node says next, or that this side has something to say."""
        heard = await self._end.next()
        if heard is None:
            raise Lost
        return heard

    async def say(self, act: StreamAct) -> None:
        """Say something of the stream."""
        try:
            await self._connection.say(act)
        except MeshError as why:
            raise Lost from why

    async def reset(self, reason: str) -> None:
        """Break the stream off."""
        await self.say(streams.reset(self.number, reason))

    def nudge(self) -> None:
        """Have `next` return, so that something can be said."""
        self._end.nudge()

    def close(self) -> None:
        """Take nothing in any more."""
        self._connection.streams.pop(self.number, None)


class Patience:
    """How long an end has tried to go on."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._backoff = Backoff()

    def renew(self) -> None:
        """The stream goes on."""
        self._since, self._backoff = None, Backoff()

    def is_tried_for(self, seconds: float) -> bool:
        """Tell whether it has tried for so long."""
        return self._since is not None and time.monotonic() - self._since > seconds

    async def reconnect(self, session: Session) -> Connection:
        """Wait for a while, then see that there is a connection; raises when it was tried for long enough."""
        self._since = time.monotonic() if self._since is None else self._since
        while True:
            if time.monotonic() - self._since > STREAM_AWAY_S_MAX:
                raise TimedOut(f"going on with a stream took longer than {STREAM_AWAY_S_MAX} s")
            await self._backoff.wait()
            try:
                if not session.is_connected and session.reconnects:
                    await session.reconnect()
                return await session.connection()
            except (Closed, TimedOut, Unreachable):
                if not session.reconnects:
                    raise


class Ending:
    """How a stream ended, and those who wait for something to change."""

    def __init__(self) -> None:
        self.is_over = False
        self.why: MeshError | None = None

    def end(self, why: MeshError | None = None) -> None:
        """Note how it ended; the first word stays."""
        if not self.is_over:
            self.is_over, self.why = True, why

    def check(self) -> None:
        """Raise what it ended with."""
        if self.why is not None:
            raise self.why


def refused(problem: Problem) -> Exception:
    """Make what is raised where the node does not take a connection for an end."""
    return Lost() if problem.code in PASSING else StreamReset(problem)


def unfitting() -> UnexpectedReply:
    """Make what is raised where the node says what does not fit what it said before."""
    return UnexpectedReply("what the node said of a stream does not fit what it said before")


async def go_on(ending: Ending, serve: Callable[[], Awaitable[None]], again: Callable[[], Awaitable[None]]) -> None:
    """Serve a stream over one connection after the other until it ends."""
    try:
        while True:
            try:
                await serve()
                break
            except Lost:
                await again()
    except MeshError as why:
        ending.end(why)
    finally:
        ending.end(None)
