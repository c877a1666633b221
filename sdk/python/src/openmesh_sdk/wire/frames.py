"""Frames of the native protocol, both directions: length, then one CBOR array whose first item is the kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from openmesh_sdk.errors import Malformed, TooLarge
from openmesh_sdk.message import Message
from openmesh_sdk.problem import Problem
from openmesh_sdk.wire.cbor import Encoded, Item, Writable, decode, encode
from openmesh_sdk.wire.fields import Fields, variant
from openmesh_sdk.wire.interning import DecodeTable, EncodeTable
from openmesh_sdk.wire.limits import FRAME_BYTES_MAX, FRAME_MESSAGES_MAX
from openmesh_sdk.wire.problems import read_problem
from openmesh_sdk.wire.receipt import Receipt
from openmesh_sdk.wire.streams import StreamAct, StreamEvent, read_act, read_event

HEADER_BYTES = 4
_SEND, _COMMAND, _PING, _STREAM = 0, 1, 2, 3
_OUTCOMES, _REPLY, _DELIVER, _PONG, _GOODBYE, _RECEIPTS = 0, 1, 2, 3, 4, 5
_ACCEPTED, _REJECTED, _UNKNOWN, _PASSED = 0, 1, 2, 3
_MESSAGE, _GAP = 0, 1
_MESSAGE_ITEMS = 4


@dataclass(frozen=True, slots=True)
class Command:
    """What an agent asks of its node: the number of the variant, and its fields."""

    number: int
    fields: Sequence[Writable] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """Messages with their tags."""

    messages: Sequence[tuple[int, Message]]


@dataclass(frozen=True, slots=True)
class Ask:
    """A command with its tag."""

    tag: int
    command: Command


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks whether the node is there."""

    number: int


@dataclass(frozen=True, slots=True)
class StreamActs:
    """What an agent says of streams."""

    acts: Sequence[StreamAct]


ClientFrame: TypeAlias = Send | Ask | Ping | StreamActs


@dataclass(frozen=True, slots=True)
class Accepted:
    """The node vouches for a message."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Refused:
    """A message was not taken in."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Unknown:
    """The node cannot say."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A message was handed over and is kept nowhere."""


Outcome: TypeAlias = Accepted | Refused | Unknown | Passed


@dataclass(frozen=True, slots=True)
class Reply:
    """How a command ended: the number of the variant, and its fields."""

    number: int
    fields: Fields


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes of sends, by tag."""

    outcomes: list[tuple[int, Outcome]]


@dataclass(frozen=True, slots=True)
class Replied:
    """The answer to the command of a tag."""

    tag: int
    answer: Reply | Problem


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message of a subscription; the number counts what matched, from 1."""

    subscription: int
    number: int
    message: Message


@dataclass(frozen=True, slots=True)
class Missed:
    """Messages of a subscription that were not handed over."""

    subscription: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Items of subscriptions."""

    deliveries: list[Delivered | Missed]


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping; 0: come in."""

    number: int


@dataclass(frozen=True, slots=True)
class Farewell:
    """The connection ends."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class StreamEvents:
    """What a node says of streams."""

    events: list[StreamEvent]


ServerFrame: TypeAlias = Outcomes | Replied | Deliver | Pong | Farewell | StreamEvents


class FrameEncoder:
    """Writes frames of one direction of one connection."""

    def __init__(self) -> None:
        self._table = EncodeTable()

    def encode(self, frame: ClientFrame, bytes_max: int = FRAME_BYTES_MAX) -> bytes:
        """Write length and body."""
        match frame:
            case Send():
                messages: list[Writable] = [[tag, *self._table.encode(message)] for tag, message in frame.messages]
                body = encode([_SEND, messages])
            case Ask():
                command = frame.command
                body = encode([_COMMAND, frame.tag, [command.number, list(command.fields)]])
            case Ping():
                body = encode([_PING, frame.number])
            case StreamActs():
                acts: list[Writable] = [[act.number, list(act.fields)] for act in frame.acts]
                body = encode([_STREAM, acts])
        if len(body) > bytes_max:
            raise TooLarge(f"{len(body)} bytes do not fit into a frame of {bytes_max}")
        return len(body).to_bytes(HEADER_BYTES, "big") + body


class FrameDecoder:
    """Reads frames of one direction of one connection."""

    def __init__(self) -> None:
        self._table = DecodeTable()

    def decode(self, body: bytes) -> ServerFrame:
        """Read what a node says."""
        kind, fields, count = _frame(body)
        match kind, count:
            case (0, 2) | (7, 3):
                return _outcomes(kind, fields)
            case (1, 3):
                return Replied(fields.uint(1), _answer(fields.get(2)))
            case (2, 2):
                return Deliver([self._delivery(item) for item in _items(fields.items(1))])
            case (3, 2):
                return Pong(fields.uint(1))
            case (4, 2):
                return Farewell(read_problem(fields.get(1)))
            case (5 | 6, 2):
                return _receipts_or_events(kind, fields)
            case _:
                raise Malformed(f"no frame of a node has kind {kind} and {count} items")

    def decode_client(self, body: bytes) -> ClientFrame:
        """Read what an agent says; for tests with a node of their own."""
        kind, fields, count = _frame(body)
        match kind, count:
            case (0, 2):
                return Send([self._sent(item) for item in _items(fields.items(1))])
            case (1, 3):
                number, arguments = variant(fields.get(2), "a command")
                return Ask(fields.uint(1), Command(number, arguments.all()))
            case (2, 2):
                return Ping(fields.uint(1))
            case (3, 2):
                read = [read_act(item) for item in _items(fields.items(1))]
                return StreamActs([StreamAct(number, arguments.all()) for number, arguments in read])
            case _:
                raise Malformed(f"no frame of an agent has kind {kind} and {count} items")

    def _sent(self, item: Item) -> tuple[int, Message]:
        fields = _exactly(item, 1 + _MESSAGE_ITEMS, "a send")
        return fields.uint(0), self._table.decode(fields, 1)

    def _delivery(self, item: Item) -> Delivered | Missed:
        if not isinstance(item, list) or not item:
            raise Malformed("a delivery is a list")
        fields = Fields(item, "a delivery")
        kind, count = fields.uint(0), len(item)
        if (kind, count) == (_MESSAGE, 3 + _MESSAGE_ITEMS):
            return Delivered(fields.uint(1), fields.uint(2), self._table.decode(fields, 3))
        if (kind, count) == (_GAP, 4):
            return Missed(fields.uint(1), fields.uint(2), fields.uint(3))
        raise Malformed(f"no delivery has kind {kind} and {count} items")


def body_length(header: bytes) -> int:
    """Read the length of a frame's body."""
    length = int.from_bytes(header, "big")
    if length > FRAME_BYTES_MAX:
        raise TooLarge(f"a frame of {length} bytes is larger than {FRAME_BYTES_MAX}")
    return length


def server_frame(kind: int, *items: Writable) -> bytes:
    """Write a node's frame; for tests with a node of their own."""
    body = encode([kind, *items])
    return Encoded(len(body).to_bytes(HEADER_BYTES, "big") + body)


def _frame(body: bytes) -> tuple[int, Fields, int]:
    items = decode(body)
    if not isinstance(items, list) or not items:
        raise Malformed("a frame is a list")
    fields = Fields(items, "a frame")
    return fields.uint(0), fields, len(items)


def _exactly(item: Item, count: int, what: str) -> Fields:
    if not isinstance(item, list) or len(item) != count:
        raise Malformed(f"{what} has {count} items")
    return Fields(item, what)


def _items(items: list[Item]) -> list[Item]:
    if len(items) > FRAME_MESSAGES_MAX:
        raise Malformed(f"more than {FRAME_MESSAGES_MAX} items in a frame")
    return items


def _tags(first: int, count: int) -> range:
    if count > FRAME_MESSAGES_MAX:
        raise Malformed(f"more than {FRAME_MESSAGES_MAX} sends passed on in a frame")
    return range(first, first + count)


def _outcomes(kind: int, fields: Fields) -> Outcomes:
    if kind == 0:
        return Outcomes([_outcome(item) for item in _items(fields.items(1))])
    return Outcomes([(tag, Passed()) for tag in _tags(fields.uint(1), fields.uint(2))])


def _receipts_or_events(kind: int, fields: Fields) -> Outcomes | StreamEvents:
    if kind == _RECEIPTS:
        return Outcomes([(tag, Accepted(receipt)) for tag, receipt in Receipt.of_run(fields.get(1))])
    return StreamEvents([read_event(item) for item in _items(fields.items(1))])


def _outcome(item: Item) -> tuple[int, Outcome]:
    pair = Fields(item, "an outcome")
    number, fields = variant(pair.get(1), "an outcome")
    match number:
        case 0:
            return pair.uint(0), Accepted(Receipt.of_item(fields.get(0)))
        case 1:
            return pair.uint(0), Refused(read_problem(fields.get(0)))
        case 2:
            return pair.uint(0), Unknown()
        case 3:
            return pair.uint(0), Passed()
        case _:
            raise Malformed(f"no outcome has number {number}")


def _answer(item: Item) -> Reply | Problem:
    answer = Fields(item, "a reply")
    if answer.uint(0) == 1:
        return read_problem(answer.get(1))
    number, fields = variant(answer.get(1), "a reply")
    return Reply(number, fields)
