"""Requests: a message and the replies to it, until the final one or a deadline."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

from openmesh_sdk.connection.link import Connection
from openmesh_sdk.connection.routes import Arrived, Gap
from openmesh_sdk.errors import MeshError, refusal
from openmesh_sdk.message import Message
from openmesh_sdk.talking.proving import Proving
from openmesh_sdk.wire.frames import Outcome, Refused
from openmesh_sdk.words.addresses import Address
from openmesh_sdk.words.ids import AgentId

_log = logging.getLogger("openmesh_sdk")


@dataclass(slots=True)
class Gathered:
    """Replies of many, gathered until a deadline."""

    replies: list[Message] = field(default_factory=list)
    """Final replies in the order they came, one of each responder."""
    complete: bool = False
    """Whether as many as were expected came in time."""


class Exchange:
    """A request under way: an asynchronous iterator over each reply, in the order they come.

    It ends after `expected` agents gave their final reply, at the deadline, or when the connection is lost.
    """

    def __init__(
        self, proving: Proving, connection: Connection, message: Message, until: float, expected: int | None
    ) -> None:
        self.message = message
        self.answered: set[AgentId] = set()
        """Who gave a final reply."""
        self._connection = connection
        self._queue = connection.routes.await_replies(message.id)
        self._addressee = _addressee(message.to)
        self._expected = expected
        self._until = until
        self._proving = proving
        self._taken: Arrived | Gap | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all final replies that are expected are there."""
        return self._expected is not None and len(self.answered) >= self._expected

    async def send(self) -> Self:
        """Send the request. An error means that it was refused or not sent."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._until):
                    _need_taken(await (await self._connection.submit(self.message)))
        except BaseException:
            self.end()
            raise
        # Whoever got it will answer, whether or not the node could say so.
        return self

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over replies."""
        return self

    async def __anext__(self) -> Message:
        """Return the next reply."""
        reply = await self.next()
        if reply is None:
            raise StopAsyncIteration
        return reply

    async def next(self) -> Message | None:
        """Return the next reply; None when there will be no more."""
        while not self.is_complete:
            try:
                async with asyncio.timeout_at(self._until):
                    # What was taken is not lost where this wait is given up while the node is asked for a key.
                    self._taken = arrived = self._taken or await self._queue.next()
                    fits = isinstance(arrived, Arrived) and await self._fits(arrived.message)
            except TimeoutError:
                break
            self._taken = None
            if arrived is None:
                break
            if isinstance(arrived, Arrived) and fits:
                reply = arrived.message
                if reply.is_final_reply:
                    self.answered.add(reply.sender)
                return reply
        self.end()
        return None

    def end(self) -> None:
        """Take no further replies."""
        self._connection.routes.forget_replies(self.message.id)

    async def _fits(self, reply: Message) -> bool:
        """A reply comes from the agent that was asked, where the request named one by its id, or from the node."""
        why = await self._proving.why_invalid(reply)
        if why is None and self._addressee and reply.sender not in (self._addressee, self._connection.node):
            why = f"{reply.sender} was not asked"
        if why is not None:
            _log.error("a reply to %s was dropped: %s", self.message.id, why)
        return why is None


def _need_taken(outcome: Outcome) -> None:
    if isinstance(outcome, Refused):
        raise refusal(outcome.problem)


def _addressee(to: str) -> AgentId | None:
    """The agent that a message names by its id."""
    address = Address.parse(to)
    is_agent = address.kind in ("agent", "inbox") and address.path.startswith("did:")
    return AgentId(address.path) if is_agent else None


def deadline_after(seconds: float) -> float:
    """Tell the event loop's time so many seconds from here."""
    return asyncio.get_running_loop().time() + seconds


def need_positive(seconds: float) -> float:
    """Refuse a deadline that has passed already."""
    if seconds <= 0:
        raise MeshError("a request needs time: give a timeout above 0")
    return seconds
