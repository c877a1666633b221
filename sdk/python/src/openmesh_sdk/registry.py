"""What an agent asks of its node besides carrying messages: agents, definitions, topics, the log."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openmesh_sdk import sending
from openmesh_sdk.connection.link import Connection
from openmesh_sdk.connection.opening import ConnectOptions
from openmesh_sdk.errors import UnexpectedReply
from openmesh_sdk.message import Message
from openmesh_sdk.session import Session
from openmesh_sdk.wire.cbor import Writable
from openmesh_sdk.wire.fields import Fields
from openmesh_sdk.wire.receipt import Receipt
from openmesh_sdk.words.ids import AgentId
from openmesh_sdk.words.names import PinnedName
from openmesh_sdk.words.times import moment_ms

_REGISTER, _LIST_AGENTS = 2, 3
_PUBLISH_SCHEMA, _PUBLISH_PROTOCOL, _GET_SCHEMA, _GET_PROTOCOL, _LIST_DEFINITIONS = 9, 10, 11, 12, 13
_CONFIGURE_TOPIC, _LIST_CONVERSATIONS, _SHOW_CONVERSATION, _QUERY_LOG, _RELOAD_POLICY = 14, 15, 16, 17, 19
_DEFINITION, _LOG, _ROWS = 3, 4, 5
_PAGE_RECORDS = 256
_TAIL_WAIT_S = 30.0
_DEFINITIONS_REMEMBERED = 1024

Row = dict[str, Any]
"""A JSON object of a listing or a record of the log."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A schema or protocol as the node keeps it."""

    name: PinnedName
    stored: str
    """Its stored form: RFC 8785 JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """What to look for in the log; all that are given must fit."""

    id: str | None = None
    """The message id."""
    agent: AgentId | None = None
    """The sender or recipient."""
    topic: str | None = None
    """A topic pattern."""
    conversation: str | None = None
    kind: str | None = None
    """The kind of record: `message`, `refused`, `leased` …."""
    type: str | None = None
    """The CloudEvents type."""
    performative: str | None = None
    verdict: str | None = None
    """`accepted` or `refused`."""
    since: datetime | None = None
    until: datetime | None = None

    def to_item(self) -> Writable:
        """Give the form on the wire."""
        agent = None if self.agent is None else self.agent.public_key
        span = [None if moment is None else moment_ms(moment) for moment in (self.since, self.until)]
        items: list[Writable] = [self.id, agent, self.topic, self.conversation, self.kind]
        items += [self.type, self.performative, self.verdict, *span]
        while items and items[-1] is None:
            items.pop()
        return items


class Registry(Session):
    """What an agent asks of its node."""

    def __init__(self, options: ConnectOptions, connection: Connection) -> None:
        super().__init__(options, connection)
        self._definitions: dict[tuple[int, str], Definition] = {}

    async def register(self, name: str, token: str | None = None) -> None:
        """Register the agent under a name; the admin token is not needed where the domain is open."""
        await self.tell("register", _REGISTER, name, token)

    async def agents(self) -> list[Row]:
        """List the agents of the domain: `agent` is the id, `name` the name."""
        return await self._rows("agents", _LIST_AGENTS)

    async def find_agent(self, name: str) -> AgentId | None:
        """Look up the id of the agent of a name."""
        found = [row["agent"] for row in await self.agents() if row.get("name") == name]
        return AgentId(found[0]) if found else None

    async def publish_schema(self, name: str, schema: str | Row) -> Definition:
        """Publish a JSON Schema (2020-12) under `namespace/name@v1.0.0`."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return await self._definition("publish_schema", _PUBLISH_SCHEMA, name, text)

    async def publish_protocol(self, protocol: str) -> Definition:
        """Publish a protocol (YAML or JSON); its name stands in it."""
        return await self._definition("publish_protocol", _PUBLISH_PROTOCOL, protocol)

    async def schema(self, name: str) -> Definition:
        """Fetch a schema by name, range (`market/rfp@^1`) or digest (`sha256-…`); asks the node once for each."""
        return await self._remembered("schema", _GET_SCHEMA, name)

    async def protocol(self, name: str) -> Definition:
        """Fetch a protocol by name, range or digest; asks the node once for each."""
        return await self._remembered("protocol", _GET_PROTOCOL, name)

    async def definitions(self) -> list[Row]:
        """List the schemas and protocols of the domain."""
        return await self._rows("definitions", _LIST_DEFINITIONS)

    async def configure_topic(self, pattern: str, *, pinned: bool, token: str | None = None) -> None:
        """Make the topics of a pattern pinned (their messages are kept) or ephemeral, before their first message."""
        await self.tell("configure_topic", _CONFIGURE_TOPIC, self.pattern(pattern), pinned, token)

    async def conversations(self) -> list[Row]:
        """List the conversations that the agent may read."""
        return await self._rows("conversations", _LIST_CONVERSATIONS)

    async def show_conversation(self, conversation: str) -> Row:
        """Show a conversation: its state, who owes what, what the agent may do."""
        rows = await self._rows("show_conversation", _SHOW_CONVERSATION, conversation)
        if len(rows) != 1:
            raise UnexpectedReply("the node showed another number of conversations than one")
        return rows[0]

    async def receipt(self, message: Message) -> Receipt | None:
        """Ask for the receipt of an earlier send; None if the node has no such message."""
        return await sending.fetch_receipt(self, message)

    async def reload_policy(self, token: str) -> None:
        """Have the node read its policy file again."""
        await self.tell("reload_policy", _RELOAD_POLICY, token)

    async def query_log(self, *, after: int = 0, limit: int | None = None, **wanted: Any) -> AsyncIterator[Row]:  # noqa: ANN401
        """Iterate over the records that fit a `LogFilter` of these fields and that the agent may read."""
        asked = LogFilter(**wanted)
        left = limit
        next_after: int | None = after
        while next_after is not None and (left is None or left > 0):
            count = _PAGE_RECORDS if left is None else min(left, _PAGE_RECORDS)
            rows, next_after = await self._page(asked, next_after, count)
            for row in rows:
                yield row
            left = None if left is None else left - len(rows)

    async def tail_log(self, *, after: int | None = None, **wanted: Any) -> AsyncIterator[Row]:  # noqa: ANN401
        """Iterate over records that fit as they are made, for ever; begins at the end of the log, or after a record."""
        asked = LogFilter(**wanted)
        position = await self._end_of_log() if after is None else after
        while True:
            rows, next_after = await self._page(asked, position, _PAGE_RECORDS, wait=_TAIL_WAIT_S)
            for row in rows:
                yield row
            position = _position_after(rows, next_after, position)

    async def _page(self, asked: LogFilter, after: int, count: int, wait: float = 0.0) -> tuple[list[Row], int | None]:
        wait_ms = int(wait * 1000) or None
        arguments: tuple[Writable, ...] = (asked.to_item(), after, count, wait_ms)
        reply = await self.ask_for("query_log", _LOG, _QUERY_LOG, *arguments, wait=wait)
        page = Fields(reply.get(0), "a page of the log")
        next_after = page.optional_uint(1)
        if next_after is not None and next_after < after:
            raise UnexpectedReply("the log's next page stands before this one")
        return _parse(page, 0), next_after

    async def _end_of_log(self) -> int:
        arguments: tuple[Writable, ...] = (LogFilter().to_item(), 0, 1, None, True)
        reply = await self.ask_for("query_log", _LOG, _QUERY_LOG, *arguments)
        return _position_after(_parse(Fields(reply.get(0), "a page of the log"), 0), None, 0)

    async def _remembered(self, step: str, number: int, name: str) -> Definition:
        known = self._definitions.get((number, name))
        if known is None:
            known = await self._definition(step, number, name)
            if len(self._definitions) >= _DEFINITIONS_REMEMBERED:
                self._definitions.clear()
            self._definitions[number, name] = known
        return known

    async def _definition(self, step: str, number: int, *arguments: str) -> Definition:
        fields = await self.ask_for(step, _DEFINITION, number, *arguments)
        return Definition(PinnedName.parse(fields.text(0)), fields.text(1))

    async def _rows(self, step: str, number: int, *arguments: str) -> list[Row]:
        return _parse(await self.ask_for(step, _ROWS, number, *arguments), 0)


def _parse(fields: Fields, at: int) -> list[Row]:
    texts = Fields(fields.items(at), "rows")
    rows = [json.loads(texts.text(index)) for index in range(len(fields.items(at)))]
    if not all(isinstance(row, dict) for row in rows):
        raise UnexpectedReply("a row is no JSON object")
    return rows


def _position_after(rows: list[Row], next_after: int | None, position: int) -> int:
    if next_after is not None:
        return next_after
    return max([position, *(int(row["position"]["seq"]) for row in rows)])
