"""What an agent asks of its node besides carrying messages: agents, definitions, topics, conversations."""

import json
from dataclasses import dataclass
from datetime import timedelta

from openmesh_sdk.asking.rows import Row, parse_rows
from openmesh_sdk.connection.link import Connection
from openmesh_sdk.connection.opening import ConnectOptions
from openmesh_sdk.errors import UnexpectedReply
from openmesh_sdk.message import Message
from openmesh_sdk.session import Session
from openmesh_sdk.talking import sending
from openmesh_sdk.wire.cbor import Writable
from openmesh_sdk.wire.receipt import Receipt
from openmesh_sdk.words.ids import AgentId
from openmesh_sdk.words.names import PinnedName

_REGISTER, _LIST_AGENTS = 2, 3
_PUBLISH_SCHEMA, _PUBLISH_PROTOCOL, _GET_SCHEMA, _GET_PROTOCOL, _LIST_DEFINITIONS = 9, 10, 11, 12, 13
_CONFIGURE_TOPIC, _LIST_CONVERSATIONS, _SHOW_CONVERSATION, _RELOAD_POLICY = 14, 15, 16, 19
_SET_TOPIC, _LIST_TOPICS, _GET_TOPIC, _GET_AGENT = 22, 23, 24, 34
_DEFINITION, _ROWS = 3, 5
_DEFINITIONS_REMEMBERED = 1024
_TOPICS_MAX = 500


@dataclass(frozen=True, slots=True)
class Definition:
    """A schema or protocol as the node keeps it."""

    name: PinnedName
    stored: str
    """Its stored form: RFC 8785 JSON."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a pinned topic is handed out; what is None sets no limit."""

    age: timedelta | None = None
    """Nothing older than this."""
    size: int | None = None
    """The latest so many bytes of messages."""
    messages: int | None = None
    """The latest so many messages."""

    def to_item(self) -> Writable:
        """Give the form on the wire."""
        age_ms = None if self.age is None else self.age // timedelta(milliseconds=1)
        return [age_ms, self.size, self.messages]


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

    async def agent(self, reference: str) -> Row:
        """Show an agent by name or id, with the keys that the node keeps for it."""
        return _one(await self._rows("agent", _GET_AGENT, reference))

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

    async def set_topic(
        self,
        pattern: str,
        *,
        pinned: bool,
        retention: Retention | None = None,
        expected_version: int | None = None,
        token: str | None = None,
    ) -> Row:
        """Say how the topics of a pattern are kept, and for how long; returns what holds from here on."""
        kept = (retention or Retention()).to_item()
        arguments: tuple[Writable, ...] = (self.pattern(pattern), pinned, kept, expected_version, token)
        return _one(await self._rows("set_topic", _SET_TOPIC, *arguments))

    async def topic_settings(self) -> list[Row]:
        """List the patterns that say how topics are kept."""
        return await self._rows("topic_settings", _LIST_TOPICS)

    async def topics(self, pattern: str, *, after: str | None = None) -> list[Row]:
        """Show how a topic or pattern is kept, then what is there of up to 500 of its topics after one."""
        return await self._rows("topics", _GET_TOPIC, self.pattern(pattern), after, _TOPICS_MAX)

    async def conversations(self) -> list[Row]:
        """List the conversations that the agent may read."""
        return await self._rows("conversations", _LIST_CONVERSATIONS)

    async def show_conversation(self, conversation: str) -> Row:
        """Show a conversation: its state, who owes what, what the agent may do."""
        return _one(await self._rows("show_conversation", _SHOW_CONVERSATION, conversation))

    async def receipt(self, message: Message) -> Receipt | None:
        """Ask for the receipt of an earlier send; None if the node has no such message."""
        return await sending.fetch_receipt(self, message)

    async def reload_policy(self, token: str) -> None:
        """Have the node read its policy file again."""
        await self.tell("reload_policy", _RELOAD_POLICY, token)

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

    async def _rows(self, step: str, number: int, *arguments: Writable) -> list[Row]:
        return parse_rows(await self.ask_for(step, _ROWS, number, *arguments))


def _one(rows: list[Row]) -> Row:
    if len(rows) != 1:
        raise UnexpectedReply(f"the node answered with {len(rows)} rows where one belongs")
    return rows[0]
