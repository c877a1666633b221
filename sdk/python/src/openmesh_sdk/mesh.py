"""The handle to the mesh: start with `Mesh.connect`."""

from typing import Any, Self

from openmesh_sdk.asking.log import LogReading
from openmesh_sdk.asking.tokens import Tokens
from openmesh_sdk.connection.link import Connection
from openmesh_sdk.connection.opening import ConnectOptions, open_connection
from openmesh_sdk.drafting import new_uuid
from openmesh_sdk.identity import Identity
from openmesh_sdk.inbox import Inbox
from openmesh_sdk.message import Message
from openmesh_sdk.talking.conversation import Conversation, protocol_of
from openmesh_sdk.talking.streaming import Streaming
from openmesh_sdk.words.ids import DomainId
from openmesh_sdk.words.names import PinnedName


class Mesh(Streaming, LogReading, Tokens):
    """An agent's handle to the mesh. For one event loop."""

    @classmethod
    async def connect(cls, url: str, *, identity: Identity, domain: str, **options: Any) -> Self:  # noqa: ANN401
        """Connect, check that the node belongs to the pinned domain, and prove the agent's key.

        `options` are the further fields of `ConnectOptions`. An agent that does not know its domain shows what
        `fetch_domain` says to a person, and pins that.
        """
        chosen = ConnectOptions(url=url, identity=identity, domain=DomainId(domain), **options)
        return cls(chosen, Connection.start(await open_connection(chosen), chosen))

    @property
    def inbox(self) -> Inbox:
        """The agent's inbox."""
        return Inbox(self)

    async def converse(self, protocol: str, conversation_id: str | None = None) -> Conversation:
        """Begin a conversation, or take part in one: `protocol` is a name or range, `market/negotiation@^1`."""
        name = (await self.protocol(protocol)).name
        return Conversation(self, name, conversation_id or new_uuid())

    def conversation(self, message: Message) -> Conversation:
        """Take part in the conversation that an act belongs to."""
        protocol, conversation_id = protocol_of(message)
        return Conversation(self, protocol, conversation_id)

    def conversation_of(self, protocol: PinnedName, conversation_id: str) -> Conversation:
        """Take part in a conversation whose protocol and id are known."""
        return Conversation(self, protocol, conversation_id)
