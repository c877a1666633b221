"""Whether messages are their senders': by a sender's own key, or by one that the domain's node keeps for it.

Which keys a node keeps for an agent, it says when it is asked (`docs/decisions/0022`).
"""

import json

from openmesh_sdk.errors import MeshError, Rejected, Unanswerable
from openmesh_sdk.message import Message
from openmesh_sdk.session import Session
from openmesh_sdk.wire.fields import Fields
from openmesh_sdk.wire.proof import ProofMemory
from openmesh_sdk.words.ids import AgentId

_GET_AGENT, _ROWS = 34, 5
_AGENTS_REMEMBERED = 1024


class Proving:
    """Checks the messages of one reader."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._memory = ProofMemory()

    async def why_invalid(self, message: Message) -> str | None:
        """Say why a message is not its sender's; None if it is. The node vouches for unsigned ones."""
        try:
            sender = message.sender
        except Unanswerable:
            return "it names no sender"
        proof = message.proof
        if proof is None:
            return None
        if not self._memory.holds(proof, message.digest):
            return "its proof does not fit"
        if proof.keyid == sender:
            return None
        try:
            is_kept = await is_kept_key(self._session, sender, proof.keyid)
        except MeshError as why:
            return f"whether {proof.keyid} signs for its sender is not known: {why}"
        return None if is_kept else f"{proof.keyid} is not its sender's key"


async def is_kept_key(session: Session, agent: AgentId, keyid: AgentId) -> bool:
    """Tell whether the node keeps that key for the agent. One not known of is asked for: it may be new."""
    known = session.kept_keys
    if keyid in known.get(agent, ()):
        return True
    keys = await _ask_kept_keys(session, agent)
    if len(known) >= _AGENTS_REMEMBERED and agent not in known:
        known.pop(next(iter(known)))
    known[agent] = keys
    return keyid in keys


async def _ask_kept_keys(session: Session, agent: AgentId) -> frozenset[str]:
    try:
        reply = await session.ask_for("an agent's keys", _ROWS, _GET_AGENT, agent)
    except Rejected as why:
        if why.code == "not_found":
            return frozenset()
        raise
    rows = Fields(reply.items(0), "rows")
    row = json.loads(rows.text(0))
    return frozenset(kept["key"] for kept in row.get("custodial_keys", []))
