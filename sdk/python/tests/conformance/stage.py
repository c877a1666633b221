"""What a scenario plays on: a node, its agents, and what was kept under a name."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from conftest import StartNode
from node import Node

from openmesh_sdk import Exchange, Identity, Job, Mesh, Message, Rejected, Sent, Subscription, new_uuid

WAIT_S = 10.0


@dataclass
class Player:
    """One agent."""

    name: str
    identity: Identity
    mesh: Mesh
    queue: int
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    leases: dict[str, list[Job]] = field(default_factory=dict)
    incoming: Subscription | None = None

    @classmethod
    async def enter(cls, node: Node, name: str, queue: int) -> "Player":
        identity = Identity.create()
        player = cls(name, identity, await node.connect(identity, subscription_messages_max=queue), queue)
        player.incoming = await player.mesh.incoming()
        return player

    async def come_back(self, node: Node) -> None:
        self.mesh = await node.connect(self.identity, subscription_messages_max=self.queue)
        self.incoming = await self.mesh.incoming()
        self.subscriptions.clear()
        self.exchanges.clear()


class Stage:
    """A node, its agents, and what was kept under a name."""

    def __init__(self, start_node: StartNode) -> None:
        self.start_node = start_node
        self.players: dict[str, Player] = {}
        self.messages: dict[str, Message] = {}
        self.positions: dict[str, int] = {}
        self.sent: dict[str, Sent] = {}
        self.conversations: dict[str, str] = {}
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        assert self._node is not None, "the first line is `node start`"
        return self._node

    async def open(self, *arguments: str) -> None:
        self._node = await self.start_node(*arguments)

    async def close(self) -> None:
        for player in self.players.values():
            await player.mesh.close()

    def keep(self, name: str | None, message: Message, seq: int | None) -> None:
        if name is not None:
            self.messages[name] = message
        if name is not None and seq is not None:
            self.positions[name] = seq

    def conversation(self, name: str) -> str:
        return self.conversations.setdefault(name, new_uuid())

    def meaning(self, name: str, part: str | None) -> str:
        """What a variable stands for."""
        match part:
            case None if name in self.players:
                return self.players[name].identity.id
            case None:
                return self.messages[name].digest
            case "id":
                return self.messages[name].id
            case "time":
                return self.messages[name].attributes["time"]
            case "seq":
                return str(self.positions[name])
            case "uuid":
                return self.conversation(name)
        raise AssertionError(f"${name}.{part} means nothing")


async def within(work: Any) -> Any:
    """Waits, but not for ever."""
    async with asyncio.timeout(WAIT_S):
        return await work


def check_problem(why: Rejected, expected: dict[str, Any]) -> None:
    """That a refusal says what it must."""
    if "pointer" in expected:
        assert why.pointer == expected["pointer"], why
    if "state" in expected:
        assert (why.state or "").startswith(expected["state"]), why
    if "allowed" in expected:
        assert sorted({one.performative for one in why.allowed_next}) == sorted(expected["allowed"]), why


def check_message(message: Message, stage: Stage, expected: dict[str, Any]) -> None:
    """That a message is the one that must come."""
    if "payload" in expected:
        assert message.json() == expected["payload"], message
    if "text" in expected:
        assert message.text == expected["text"], message
    if "from" in expected:
        assert message.sender == stage.players[expected["from"]].identity.id, message
    if "act" in expected:
        assert message.performative == expected["act"], message
