"""How a send ends, and sending the same bytes until that is known."""

import logging
from dataclasses import dataclass

from openmesh_sdk.errors import Closed, OutcomeUnknown, TimedOut, Unreachable, refusal
from openmesh_sdk.message import Message
from openmesh_sdk.session import Backoff, Session
from openmesh_sdk.wire.frames import Accepted, Outcome, Passed, Refused, Unknown
from openmesh_sdk.wire.receipt import Position, Receipt

_log = logging.getLogger("openmesh_sdk")

_GET_RECEIPT = 18
_RECEIPT_REPLY = 6
_OUTSIDE_WINDOW = "time.outside_window"
_KEPT_LEVELS = ("edge", "durable")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was taken in."""

    message: Message
    receipt: Receipt | None
    """The node's signed word; None for what was handed over live and is kept nowhere."""

    @property
    def position(self) -> Position | None:
        """Where the message is kept."""
        return self.receipt.position if self.receipt else None

    @property
    def is_kept(self) -> bool:
        """Whether the message survives a restart of the node."""
        return self.position is not None


def is_recognised(message: Message) -> bool:
    """Tell whether a repeat of this message is recognised for certain, so that sending it again is safe."""
    kept = (
        message.attributes.get("acklevel") in _KEPT_LEVELS
        or "/inbox/" in message.to
        or "notbefore" in message.attributes
    )
    return message.is_signed and (kept or message.is_act)


async def send_once(session: Session, message: Message) -> Sent:
    """Send a message and await its outcome, on one connection."""
    connection = await session.connection()
    return conclude(message, await (await connection.submit(message)))


async def send_until_known(session: Session, message: Message) -> Sent:
    """Send the same bytes again, over a fresh connection where need be, until the outcome is known."""
    backoff, was_sent = Backoff(), False
    while True:
        outcome: Outcome = Unknown()
        try:
            connection = await session.connection()
            answer = await connection.submit(message)
            was_sent = True
            outcome = await answer
        except (Closed, TimedOut, Unreachable) as why:
            if not was_sent and not session.reconnects:
                raise
            _log.debug("no connection yet: %s", why)
        if isinstance(outcome, Refused) and outcome.problem.code == _OUTSIDE_WINDOW:
            outcome = await _ask_for_receipt(session, message, outcome)
        if not isinstance(outcome, Unknown) or not session.reconnects:
            return conclude(message, outcome)
        await backoff.wait()


async def fetch_receipt(session: Session, message: Message) -> Receipt | None:
    """Ask for the receipt of an earlier send; None if the node has no such message."""
    arguments = (message.digest.raw, message.id)
    fields = await session.ask_for("receipt", _RECEIPT_REPLY, _GET_RECEIPT, *arguments)
    if fields.get(0) is None:
        return None
    receipt = Receipt.of_item(fields.get(0))
    if receipt.digest != message.digest or not receipt.verifies(session.node):
        raise OutcomeUnknown("a receipt is for another message or not signed by the node")
    return receipt


def conclude(message: Message, outcome: Outcome) -> Sent:
    """Make an answer or an exception of an outcome."""
    match outcome:
        case Accepted(receipt):
            return Sent(message, receipt)
        case Passed():
            return Sent(message, None)
        case Refused(problem):
            raise refusal(problem)
        case Unknown():
            raise OutcomeUnknown("whether the message was taken in is unknown: send the same message again")


async def _ask_for_receipt(session: Session, message: Message, refused: Refused) -> Outcome:
    """The refusal says nothing of an earlier copy; `Unknown` when the node cannot be asked just then."""
    try:
        receipt = await fetch_receipt(session, message)
    except (Closed, TimedOut, Unreachable, OutcomeUnknown):
        return Unknown()
    return refused if receipt is None else Accepted(receipt)
