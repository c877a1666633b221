"""Questions about the log: page by page, or as a tail that goes on with what comes."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal, TypedDict, Unpack

from openmesh_sdk.asking.rows import Row, parse_rows
from openmesh_sdk.errors import UnexpectedReply
from openmesh_sdk.session import Session
from openmesh_sdk.wire.cbor import Writable
from openmesh_sdk.wire.fields import Fields
from openmesh_sdk.words.ids import AgentId
from openmesh_sdk.words.times import moment_ms

_QUERY_LOG = 17
_LOG = 4
_VERDICTS = {"accepted": 0, "refused": 1}
_PAGE_RECORDS = 256
_TAIL_WAIT_S = 30.0
_END_OF_LOG = (1 << 64) - 1


class LogFilter(TypedDict, total=False):
    """What to look for in the log; all that are given must fit."""

    id: str
    """The message id."""
    agent: AgentId
    """The sender or recipient."""
    topic: str
    """A topic pattern: `market/*`, `topic:market/*`, or absolute."""
    conversation: str
    """The conversation."""
    kind: str
    """The kind of record: `message`, `refused`, `leased` …."""
    type: str
    """The type of a message."""
    performative: str
    """The act of a message, taken in or refused."""
    verdict: Literal["accepted", "refused"]
    """What came of a message."""
    since: datetime
    """Decided at this time or later."""
    until: datetime
    """Decided before this time."""


class LogReading(Session):
    """What an agent may ask the log; each record is decided by policy on its own."""

    async def query_log(
        self, *, after: int = 0, newest_first: bool = False, limit: int | None = None, **wanted: Unpack[LogFilter]
    ) -> AsyncIterator[Row]:
        """Iterate over the records that fit, each a JSON object; begins after a record, newest first below it."""
        left, begin = limit, after
        while left is None or left > 0:
            count = _PAGE_RECORDS if left is None else min(left, _PAGE_RECORDS)
            rows, following = await self._page(wanted, begin, count, newest_first=newest_first)
            for row in rows:
                yield row
            if following is None:
                return
            if (following >= begin > 0) if newest_first else following <= begin:
                raise UnexpectedReply("the log's next page does not go on")
            begin, left = following, None if left is None else left - len(rows)

    async def tail_log(self, *, after: int | None = None, **wanted: Unpack[LogFilter]) -> AsyncIterator[Row]:
        """Iterate over records that fit as they are made, for ever; begins with what comes, or after a record.

        Loses nothing and repeats nothing, also where the connection is lost in between.
        """
        begin = _END_OF_LOG if after is None else after
        while True:
            rows, following = await self._page(wanted, begin, _PAGE_RECORDS, wait=_TAIL_WAIT_S)
            if following is None:
                raise UnexpectedReply("the node does not wait for records")
            for row in rows:
                yield row
            begin = following

    async def _page(
        self, wanted: LogFilter, after: int, count: int, *, newest_first: bool = False, wait: float = 0.0
    ) -> tuple[list[Row], int | None]:
        arguments: tuple[Writable, ...] = (_filter(wanted), after, count, int(wait * 1000), newest_first)
        reply = await self.ask_for("query_log", _LOG, _QUERY_LOG, *arguments, wait=wait)
        page = Fields(reply.get(0), "a page of the log")
        return parse_rows(page), page.optional_uint(1)


def _filter(wanted: LogFilter) -> list[Writable]:
    agent, verdict = wanted.get("agent"), wanted.get("verdict")
    since, until = wanted.get("since"), wanted.get("until")
    items: list[Writable] = [
        wanted.get("id"),
        None if agent is None else AgentId(agent).public_key,
        wanted.get("topic"),
        wanted.get("conversation"),
        wanted.get("kind"),
        wanted.get("type"),
        wanted.get("performative"),
        None if verdict is None else _VERDICTS[verdict],
        None if since is None else moment_ms(since),
        None if until is None else moment_ms(until),
    ]
    while items and items[-1] is None:
        items.pop()
    return items
