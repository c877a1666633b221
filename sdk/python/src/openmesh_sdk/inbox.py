"""The agent's inbox: leasing what is held for it, and a worker that does so message by message."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from openmesh_sdk.errors import LeaseLost, Malformed, MeshError, Rejected
from openmesh_sdk.message import Message
from openmesh_sdk.session import Backoff, Session, is_lost
from openmesh_sdk.talking.proving import Proving
from openmesh_sdk.wire.cbor import Item
from openmesh_sdk.wire.fields import Fields, variant
from openmesh_sdk.wire.steering import PRIORITIES, Priority

_log = logging.getLogger("openmesh_sdk")

_LEASE, _EXTEND, _ACK, _NACK, _COUNT_INBOX = 4, 5, 6, 7, 8
_PEEK = 20
_LEASED, _INBOX, _PEEKED = 1, 2, 10
_PEEKED_MAX = 256
_STATES: tuple[Literal["ready", "delayed", "leased"], ...] = ("ready", "delayed", "leased")
_EXTENSIONS_PER_VISIBILITY = 3

VISIBILITY_S = 30.0
WAIT_S = 20.0
RETRY_DELAY_S = 1.0


@dataclass(frozen=True, slots=True)
class InboxCounts:
    """What became of everything ever put in: accepted = all the others together."""

    accepted: int
    pending: int
    acknowledged: int
    expired: int
    dead_lettered: int
    recalled: int
    """Ended by their senders, who called them back."""


@dataclass(frozen=True, slots=True)
class Held:
    """A message held in an inbox, seen without taking it."""

    number: int
    attempts: int
    """How often it was leased."""
    priority: Priority
    state: Literal["ready", "delayed", "leased"]
    until_ms: int | None
    """When it will be ready, ms since the Unix epoch; None if it is."""
    message: Message

    @classmethod
    def of_item(cls, item: Item) -> Self:
        """Read the form on the wire."""
        fields = Fields(item, "a held message")
        priority, (state, until) = fields.uint(2), variant(fields.get(3), "a state")
        if priority >= len(PRIORITIES) or state >= len(_STATES):
            raise Malformed("a held message with a priority or state that does not exist")
        return cls(
            number=fields.uint(0),
            attempts=fields.uint(1),
            priority=PRIORITIES[priority],
            state=_STATES[state],
            until_ms=until.optional_uint(0),
            message=Message.of_item(fields.get(4)),
        )


@dataclass(slots=True)
class Job:
    """A message leased from the inbox. `async with job:` acknowledges it, or gives it back if an exception leaves."""

    message: Message
    token: int
    """The fencing token: grows with every lease of the inbox."""
    number: int
    """The message's number in the inbox."""
    attempt: int
    """How often it has been leased, this time included."""
    inbox: "Inbox"
    retry_delay: float = RETRY_DELAY_S
    is_settled: bool = False
    """Whether it was acknowledged or given back."""
    is_lost: bool = False
    """Whether the node said that the lease is lost: somebody else may have the message."""
    _extending: "asyncio.Task[None] | None" = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        """Give the job itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Acknowledge, or give back."""
        if self.is_settled or self.is_lost:
            return
        if why is None:
            await self.ack()
        else:
            with contextlib.suppress(MeshError):
                await self.nack()

    async def ack(self) -> None:
        """End it as done; raises `LeaseLost` if somebody else may have it."""
        self._settle()
        await self.inbox.ack(self.token, [self.number])

    async def nack(self, delay: float | None = None) -> None:
        """Give it back, to be leased again after so many seconds."""
        self._settle()
        await self.inbox.nack(self.token, [self.number], self.retry_delay if delay is None else delay)

    async def extend(self, visibility: float = VISIBILITY_S) -> None:
        """Keep it for so many seconds from when the node reads this."""
        await self.inbox.extend(self.token, visibility)

    def keep(self, visibility: float) -> None:
        """Go on extending the lease until the message is settled."""
        self._extending = asyncio.create_task(self._keep_extending(visibility))

    def _settle(self) -> None:
        self.is_settled = True
        self.release()

    def release(self) -> None:
        """Extend the lease no longer."""
        if self._extending is not None:
            self._extending.cancel()
            self._extending = None

    async def lost(self) -> None:
        """Return when the lease is lost, so that nobody works on without it."""
        if self._extending is not None:
            await asyncio.wait([self._extending])

    async def _keep_extending(self, visibility: float) -> None:
        while True:
            await asyncio.sleep(visibility / _EXTENSIONS_PER_VISIBILITY)
            try:
                await self.extend(visibility)
            except Rejected as why:
                self.is_lost = True
                _log.warning("the lease of message %d was lost while it was worked on: %s", self.number, why)
                return
            except MeshError as why:
                _log.warning("a lease could not be extended just then: %s", why)


Handler = Callable[[Job], Awaitable[None]]


class Inbox:
    """The agent's inbox."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def lease(self, messages_max: int = 1, *, visibility: float = VISIBILITY_S, wait: float = 0.0) -> list[Job]:
        """Take messages out for `visibility` seconds, waiting up to `wait` seconds if there are none.

        Those that are not their sender's are given back, and so end as dead letters.
        """
        arguments = (messages_max, int(visibility * 1000), int(wait * 1000))
        reply = await self._session.ask_for("a lease", _LEASED, _LEASE, *arguments, wait=wait)
        proving, jobs = Proving(self._session), []
        for item in reply.items(0):
            job = self._job(item)
            why = await proving.why_invalid(job.message)
            if why is None:
                jobs.append(job)
            else:
                _log.error("held message %d was given back: %s", job.number, why)
                await job.nack(0.0)
        return jobs

    async def ack(self, token: int, numbers: list[int] | None = None) -> None:
        """End leased messages as done; all of the lease if no numbers are given."""
        await self._session.tell("an ack", _ACK, token, numbers or [])

    async def nack(self, token: int, numbers: list[int] | None = None, delay: float = 0.0) -> None:
        """Give leased messages back, to be leased again after so many seconds; all of the lease without numbers."""
        await self._session.tell("a nack", _NACK, token, numbers or [], int(delay * 1000))

    async def extend(self, token: int, visibility: float = VISIBILITY_S) -> None:
        """Keep a lease for so many seconds from when the node reads this."""
        await self._session.tell("an extension", _EXTEND, token, int(visibility * 1000))

    async def counts(self) -> InboxCounts:
        """Count what became of everything ever put in."""
        fields = Fields((await self._session.ask_for("counts", _INBOX, _COUNT_INBOX)).get(0), "counts")
        return InboxCounts(*(fields.optional_uint(number) or 0 for number in range(6)))

    async def peek(self) -> AsyncIterator[Held]:
        """Iterate over what the inbox holds, by number, without taking anything out."""
        after: int | None = 0
        while after is not None:
            reply = await self._session.ask_for("a look", _PEEKED, _PEEK, after, _PEEKED_MAX)
            page = Fields(reply.get(0), "a page of the inbox")
            for item in page.items(0):
                yield Held.of_item(item)
            after = page.optional_uint(1)

    async def work(
        self,
        *,
        visibility: float = VISIBILITY_S,
        wait: float = WAIT_S,
        retry_delay: float = RETRY_DELAY_S,
    ) -> AsyncIterator[Job]:
        """Iterate over the mail, one message at a time, for ever; leases are extended meanwhile.

        When the next one is asked for, a message that was neither acknowledged nor given back is acknowledged; when
        the loop is left early, it is given back. A lost connection is made again.
        """
        backoff = Backoff()
        while True:
            try:
                jobs = await self.lease(1, visibility=visibility, wait=wait)
            except MeshError as why:
                if not is_lost(why) or not self._session.reconnects:
                    raise
                await backoff.wait()
                continue
            backoff = Backoff()
            for job in jobs:
                job.retry_delay = retry_delay
                job.keep(visibility)
                try:
                    yield job
                    await _settle(job, done=True)
                finally:
                    await _settle(job, done=False)

    async def serve(
        self,
        handler: Handler,
        *,
        concurrency: int = 1,
        visibility: float = VISIBILITY_S,
        retry_delay: float = RETRY_DELAY_S,
    ) -> None:
        """Hand each message to `handler`, up to so many at a time, for ever; cancel to stop.

        It is acknowledged when the handler returns and given back when it raises, which ends nothing. A handler whose
        lease is lost is cancelled.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._serve_one_by_one(handler, visibility, retry_delay))

    async def _serve_one_by_one(self, handler: Handler, visibility: float, retry_delay: float) -> None:
        async for job in self.work(visibility=visibility, retry_delay=retry_delay):
            handling = asyncio.ensure_future(_handle(handler, job))
            losing = asyncio.ensure_future(job.lost())
            try:
                await asyncio.wait((handling, losing), return_when=asyncio.FIRST_COMPLETED)
            finally:
                losing.cancel()
                if not handling.done():
                    handling.cancel()
                    await asyncio.wait([handling])

    def _job(self, item: Item) -> Job:
        fields = Fields(item, "a leased message")
        message = Message.of_item(fields.get(3))
        return Job(message, fields.uint(0), fields.uint(1), fields.uint(2), self)


async def _handle(handler: Handler, job: Job) -> None:
    try:
        async with job:
            await handler(job)
    except LeaseLost as why:
        _log.warning("message %d will be worked on again: %s", job.number, why)
    except Exception:  # noqa: BLE001
        _log.exception("message %d of the inbox was given back", job.number)


async def _settle(job: Job, *, done: bool) -> None:
    """What the body of a loop left open; a lease that is lost is somebody else's, and the message comes again."""
    if job.is_settled:
        return
    job.release()
    if job.is_lost:
        job.is_settled = True
        return
    try:
        await (job.ack() if done else job.nack())
    except MeshError as why:
        _log.warning("message %d of the inbox will come again: %s", job.number, why)
