"""What agents and nodes say of streams: acts and events, each of one end by its number on the connection."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from openmesh_sdk.errors import Malformed
from openmesh_sdk.problem import Problem
from openmesh_sdk.wire.cbor import Item as Encoded
from openmesh_sdk.wire.cbor import Writable
from openmesh_sdk.wire.fields import Fields, variant
from openmesh_sdk.wire.limits import STREAM_ITEM_OVERHEAD_BYTES
from openmesh_sdk.wire.problems import read_problem


def item_cost(item: bytes) -> int:
    """Return what an item takes up of a stream's window."""
    return len(item) + STREAM_ITEM_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class StreamAct:
    """What an agent says of a stream: the number of the variant, and its fields, the end's number first."""

    number: int
    fields: tuple[Writable, ...]


def write(stream: int, offer_id: str, start: int) -> StreamAct:
    """Make this connection the writing end of a stream that was offered."""
    return StreamAct(0, (stream, offer_id, start))


def read(stream: int, sender: bytes, offer_id: str, start: int, window: int) -> StreamAct:
    """Make this connection the reading end of a stream."""
    return StreamAct(1, (stream, sender, offer_id, start, window))


def item(stream: int, run: int, place: int, content: bytes) -> StreamAct:
    """Write the next item."""
    return StreamAct(2, (stream, run, place, content))


def credit(stream: int, consumed: int) -> StreamAct:
    """Everything before this place was taken."""
    return StreamAct(3, (stream, consumed))


def fin(stream: int, run: int, place: int) -> StreamAct:
    """No item follows."""
    return StreamAct(4, (stream, run, place))


def done(stream: int) -> StreamAct:
    """All was taken."""
    return StreamAct(5, (stream,))


def reset(stream: int, reason: str) -> StreamAct:
    """Break the stream off."""
    return StreamAct(6, (stream, reason))


@dataclass(frozen=True, slots=True)
class Go:
    """A run begins."""

    stream: int
    run: int
    start: int
    consumed: int
    window: int


@dataclass(frozen=True, slots=True)
class NoEnd:
    """The connection is no end of the stream, or no longer."""

    stream: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Item:
    """The next item."""

    stream: int
    place: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Credit:
    """Everything before this place was taken."""

    stream: int
    consumed: int


@dataclass(frozen=True, slots=True)
class Fin:
    """No item follows."""

    stream: int
    place: int


@dataclass(frozen=True, slots=True)
class Done:
    """All was taken; the stream has ended."""

    stream: int


@dataclass(frozen=True, slots=True)
class Reset:
    """The stream was broken off."""

    stream: int
    problem: Problem


StreamEvent: TypeAlias = Go | NoEnd | Item | Credit | Fin | Done | Reset

_ACTS = 7


def read_event(encoded: Encoded) -> StreamEvent:
    """Read what a node says of a stream."""
    number, fields = variant(encoded, "an event of a stream")
    read = _EVENTS.get(number)
    if read is None:
        raise Malformed(f"no event of a stream has number {number}")
    return read(fields.uint(0), fields)


_EVENTS: dict[int, Callable[[int, Fields], StreamEvent]] = {
    0: lambda stream, fields: Go(stream, fields.uint(1), fields.uint(2), fields.uint(3), fields.uint(4)),
    1: lambda stream, fields: NoEnd(stream, read_problem(fields.get(1))),
    2: lambda stream, fields: Item(stream, fields.uint(1), fields.binary(2)),
    3: lambda stream, fields: Credit(stream, fields.uint(1)),
    4: lambda stream, fields: Fin(stream, fields.uint(1)),
    5: lambda stream, _: Done(stream),
    6: lambda stream, fields: Reset(stream, read_problem(fields.get(1))),
}


def read_act(encoded: Encoded) -> tuple[int, Fields]:
    """Read what an agent says of a stream; for tests with a node of their own."""
    number, fields = variant(encoded, "an act of a stream")
    if number >= _ACTS:
        raise Malformed(f"no act of a stream has number {number}")
    return number, fields
