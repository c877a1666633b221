"""Conversations: acts of a protocol, and what the node says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from openmesh_sdk.asking.rows import Row
from openmesh_sdk.drafting import Options
from openmesh_sdk.errors import Unanswerable
from openmesh_sdk.message import Message
from openmesh_sdk.problem import AllowedNext
from openmesh_sdk.talking.sending import Sent
from openmesh_sdk.words.ids import AgentId
from openmesh_sdk.words.names import PinnedName

if TYPE_CHECKING:
    from openmesh_sdk.mesh import Mesh


@dataclass(frozen=True, slots=True)
class Notice:
    """A step that no act took: by a timer, or because a `when` rule held. Signed by the node."""

    conversation_id: str
    machine: str
    before: str
    """The state that was left."""
    after: str
    """The state that was entered."""
    cause: str
    """`timer` or `when`."""
    agent: AgentId | None
    """Whose instance of the machine moved; None for the one there is once a conversation."""
    outcome: str | None
    """How the conversation ended; None while it goes on."""

    @classmethod
    def of_message(cls, message: Message) -> "Notice | None":
        """Read a notice; None for any other message."""
        if not message.is_notice:
            return None
        said = message.json()
        agent = said.get("agent")
        return cls(
            conversation_id=said["conversation"],
            machine=said["machine"],
            before=said["from"],
            after=said["to"],
            cause=said["cause"],
            agent=None if agent is None else AgentId(agent),
            outcome=said.get("outcome"),
        )


class Conversation:
    """One run of a protocol, as a member of it sees it."""

    def __init__(self, mesh: "Mesh", protocol: PinnedName, conversation_id: str) -> None:
        self.id = conversation_id
        self.protocol = protocol
        self._mesh = mesh

    async def act(
        self,
        performative: str,
        payload: object = None,
        *,
        to: str | None = None,
        **options: Unpack[Options],
    ) -> Sent:
        """Take a step; raises `ProtocolError` with `state` and `allowed_next` if the protocol does not allow it.

        Without `to` the act is for everybody bound in the conversation.
        """
        options.setdefault("protocol", self.protocol)
        options.setdefault("conversation_id", self.id)
        destination = f"conversation:{self.id}" if to is None else to
        return await self._mesh.send(destination, payload, act=performative, **options)

    async def answer(
        self,
        message: Message,
        performative: str,
        payload: object = None,
        **options: Unpack[Options],
    ) -> Sent:
        """Answer an act: to its sender, as the reply to it, naming its digest as the parent."""
        options.setdefault("in_reply_to", message.id)
        options.setdefault("parents", (message.digest,))
        return await self.act(performative, payload, to=message.sender, **options)

    async def show(self) -> Row:
        """Show its state, who owes what, what the agent may do."""
        return await self._mesh.show_conversation(self.id)

    async def allowed_next(self) -> list[AllowedNext]:
        """Tell what the agent may do next, as far as it can be said without a payload."""
        rows = (await self.show()).get("allowed_next", [])
        return [_allowed(row) for row in rows]

    def is_of(self, message: Message) -> bool:
        """Tell whether a message is an act or a notice of this conversation."""
        if notice := Notice.of_message(message):
            return notice.conversation_id == self.id
        return message.conversation_id == self.id


def protocol_of(message: Message) -> tuple[PinnedName, str]:
    """Tell the protocol and the conversation of an act."""
    if not message.is_act:
        raise Unanswerable("the message is no act of a conversation")
    uri = message.attributes["protocol"]
    return PinnedName.parse_protocol_uri(uri), message.attributes["conversationid"]


def _allowed(row: Mapping[str, str | None]) -> AllowedNext:
    return AllowedNext(row.get("performative") or "", row.get("schema"), row.get("instance"))
