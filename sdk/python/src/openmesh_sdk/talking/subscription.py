"""Subscriptions: what matches a pattern, in order, with gaps told and proofs checked."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self, TypeAlias

from openmesh_sdk.connection.link import Connection
from openmesh_sdk.connection.routes import OWN_SUBSCRIPTION, Arrived, Gap
from openmesh_sdk.errors import Closed, MeshError
from openmesh_sdk.message import Message
from openmesh_sdk.session import Session
from openmesh_sdk.talking.proving import Proving
from openmesh_sdk.wire.cbor import Writable
from openmesh_sdk.wire.frames import Command
from openmesh_sdk.words.times import moment_ms

_log = logging.getLogger("openmesh_sdk")

_SUBSCRIBE, _UNSUBSCRIBE = 0, 1
_NEXT, _AT, _SINCE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Invalid:
    """A message that is not its sender's; it is dropped."""

    number: int
    why: str


Item: TypeAlias = Message | Gap | Invalid
"""Messages, gaps and invalid ones together are all that matched."""


class Subscription:
    """An asynchronous iterator over items; leaving `async with` ends it."""

    def __init__(self, session: Session, pattern: str, start: int | datetime | None, *, resume: bool) -> None:
        self._session = session
        self._pattern = pattern
        self._start = start
        self._resume = resume
        self._proving = Proving(session)
        self._taken: Arrived | Gap | None = None
        self._connection: Connection | None = None
        self._number = OWN_SUBSCRIPTION
        self._counted_before = 0
        self._counted = 0
        self._last_seq: int | None = None

    async def __aenter__(self) -> Self:
        """Give the subscription itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        await self.end()

    def __aiter__(self) -> AsyncIterator[Item]:
        """Iterate over what matched; ends by `end`, and raises `Closed` when the connection is lost."""
        return self

    async def __anext__(self) -> Item:
        """Return the next item."""
        item = await self.next()
        if item is None:
            raise StopAsyncIteration
        return item

    async def next(self) -> Item | None:
        """Return the next item; None when the subscription was ended."""
        while (connection := self._connection) is not None:
            # What was taken is not lost where this wait is given up while the node is asked for a key.
            self._taken = arrived = self._taken or await connection.routes.open(self._number).next()
            if arrived is not None:
                item = await self._read(arrived)
                self._taken = None
                return item
            if connection is self._connection and (gap := await self._lost(connection)) is not None:
                return gap
        return None

    async def messages(self) -> AsyncIterator[Message]:
        """Iterate over valid messages alone."""
        async for item in self:
            if isinstance(item, Message):
                yield item

    async def end(self) -> None:
        """End the subscription and wait for the node to say so."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.routes.close(self._number)
        if self._number != OWN_SUBSCRIPTION and connection.ended_by is None:
            await connection.command("unsubscribe", Command(_UNSUBSCRIBE, (self._number,)))

    async def begin(self) -> Self:
        """Subscribe on the connection of the moment."""
        connection = await self._session.connection()
        self._number = connection.next_tag()
        connection.routes.open(self._number)
        try:
            await connection.command(
                "subscribe", Command(_SUBSCRIBE, (self._number, self._pattern, _where(self._start)))
            )
        except BaseException:
            connection.routes.close(self._number)
            raise
        self._connection = connection
        return self

    async def begin_own(self) -> Self:
        """Take the messages to the agent itself, from the moment of connecting on; once a connection."""
        connection = await self._session.connection()
        if connection.incoming_taken:
            raise MeshError("the agent's own messages are read already: share that subscription")
        connection.incoming_taken = True
        self._connection = connection
        return self

    async def _read(self, arrived: Arrived | Gap) -> Item:
        if isinstance(arrived, Gap):
            last = arrived.first if arrived.last is None else arrived.last
            self._counted = self._counted_before + last
            return Gap(self._counted_before + arrived.first, self._counted)
        self._counted = self._counted_before + arrived.number
        message = arrived.message
        if message.position is not None:
            self._last_seq = message.position.seq
        why = await self._proving.why_invalid(message)
        if why is None:
            return message
        _log.error("message %d of a subscription was dropped: %s", arrived.number, why)
        return Invalid(self._counted, why)

    async def _lost(self, connection: Connection) -> Gap | None:
        """Go on after the connection was lost; what was not kept may be missing, and nobody knows how much."""
        if not self._resume or not self._session.reconnects:
            raise connection.ended_by or Closed("the connection is gone")
        is_kept = self._last_seq is not None or self._start is not None
        if self._last_seq is not None:
            self._start = self._last_seq + 1
        self._counted_before = self._counted
        await (self.begin_own() if self._number == OWN_SUBSCRIPTION else self.begin())
        return None if is_kept else Gap(self._counted + 1, None)


def _where(start: int | datetime | None) -> list[Writable]:
    if isinstance(start, datetime):
        return [_SINCE, [moment_ms(start)]]
    return [_NEXT, []] if start is None else [_AT, [start]]
