"""A session of an agent: holds the connection of the day, and opens the next one when it is lost."""

import asyncio
import contextlib
import random
import time
from types import TracebackType
from typing import Self

from openmesh_sdk.connection.link import Connection
from openmesh_sdk.connection.opening import ConnectOptions, open_connection
from openmesh_sdk.errors import Closed, MeshError, TimedOut, UnexpectedReply, Unreachable
from openmesh_sdk.identity import Identity
from openmesh_sdk.wire.cbor import Writable
from openmesh_sdk.wire.fields import Fields
from openmesh_sdk.wire.frames import Command
from openmesh_sdk.words.addresses import Address, expand_pattern
from openmesh_sdk.words.ids import AgentId, DomainId

BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 2.0
_DONE = 0


class Backoff:
    """Waits that grow, so that agents who lost one node do not all return at once."""

    def __init__(self) -> None:
        self._next = BACKOFF_MIN_S

    async def wait(self) -> None:
        """Wait, longer each time."""
        await asyncio.sleep(self._next * (1 + random.random() / 2))  # noqa: S311
        self._next = min(self._next * 2, BACKOFF_MAX_S)


class Session:
    """What every part of a handle to the mesh rests on."""

    def __init__(self, options: ConnectOptions, connection: Connection) -> None:
        self._options = options
        self._current = connection
        self._reconnecting = asyncio.Lock()
        self._closed = False
        self.kept_keys: dict[AgentId, frozenset[str]] = {}
        """The keys that the node keeps for agents, as it said when it was asked."""

    async def __aenter__(self) -> Self:
        """Give the handle itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    @property
    def identity(self) -> Identity:
        """The agent's key."""
        return self._options.identity

    @property
    def id(self) -> AgentId:
        """The agent's id."""
        return self.identity.id

    @property
    def domain(self) -> DomainId:
        """The domain the agent is connected to."""
        return self._options.domain

    @property
    def node(self) -> AgentId:
        """The node the agent is connected to."""
        return self._current.node

    @property
    def is_connected(self) -> bool:
        """Whether the connection still stands, as far as this side knows."""
        return self._current.ended_by is None

    @property
    def reconnects(self) -> bool:
        """Whether a lost connection will be made again."""
        return self._options.reconnect_for > 0 and not self._closed

    async def close(self) -> None:
        """End the connection cleanly: waits a few seconds for the outcomes of sends in flight, then for the node."""
        self._closed = True
        await self._current.close()

    async def reconnect(self) -> None:
        """Open another connection if this one is lost, once; subscriptions end with their connection."""
        async with self._reconnecting:
            if self._closed:
                raise Closed("the handle is closed")
            if not self.is_connected:
                opened = await open_connection(self._options)
                self._current = Connection.start(opened, self._options)

    async def ping(self) -> float:
        """Ask the node whether it is there; returns how many seconds the answer took."""
        asked = time.monotonic()
        await (await self.connection()).ping()
        return time.monotonic() - asked

    def address(self, text: str) -> Address:
        """Expand an address that people write: `topic:a/b`, `agent:buyer`, `inbox:buyer`, a DID."""
        return Address.expand(text, self.domain)

    def pattern(self, text: str) -> str:
        """Expand a pattern that people write: `topic:market/*`, `market/**`."""
        return expand_pattern(text, self.domain)

    async def connection(self) -> Connection:
        """Return a connection that stands; one that is lost is made again, for as long as the options say."""
        if self.is_connected:
            return self._current
        if not self.reconnects:
            raise self._current.ended_by or Closed("the connection is gone")
        try:
            async with asyncio.timeout(self._options.reconnect_for):
                await self._reconnect_with_backoff()
        except TimeoutError:
            raise self._current.ended_by or Closed("the connection is gone") from None
        return self._current

    async def ask(self, step: str, number: int, *fields: Writable, wait: float = 0.0) -> tuple[int, Fields]:
        """Give the node a command; returns the number of the reply, and its fields."""
        connection = await self.connection()
        reply = await connection.command(step, Command(number, fields), wait)
        return reply.number, reply.fields

    async def ask_for(self, step: str, expected: int, number: int, *fields: Writable, wait: float = 0.0) -> Fields:
        """Give the node a command whose reply must be of one kind."""
        found, reply = await self.ask(step, number, *fields, wait=wait)
        if found != expected:
            raise UnexpectedReply(f"the node's reply to {step} is of another kind: node and SDK differ in version")
        return reply

    async def tell(self, step: str, number: int, *fields: Writable) -> None:
        """Give the node a command that is done or refused."""
        await self.ask_for(step, _DONE, number, *fields)

    async def _reconnect_with_backoff(self) -> None:
        backoff = Backoff()
        while not self.is_connected:
            await backoff.wait()
            with contextlib.suppress(Unreachable, TimedOut, Closed):
                await self.reconnect()
            if self._closed:
                raise Closed("the handle is closed")


def is_lost(why: MeshError) -> bool:
    """Tell whether an error says no more than that the connection is gone."""
    return isinstance(why, Closed | Unreachable | TimedOut)
