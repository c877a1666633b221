"""Messages on a connection: attribute names by number, repeating values by reference to their first use."""

from openmesh_sdk.errors import Malformed
from openmesh_sdk.message import Message
from openmesh_sdk.wire.attributes import canonical_order, check_attributes
from openmesh_sdk.wire.cbor import Encoded, Item, encode, head
from openmesh_sdk.wire.fields import Fields
from openmesh_sdk.wire.limits import INTERNED_VALUE_BYTES_MAX, INTERNED_VALUES_MAX

NAMES = tuple(
    """
    id to type time source parents replyby replyto subject acklevel priority protocol inreplyto dataschema expirytime
    specversion performative conversationid datacontenttype critical invite more sequence partitionkey ontology tags
    idempotencykey causationid purpose dataclassification
    """.split()  # noqa: SIM905
)
"""Attribute names with a number; the order is part of the wire."""
REPEATING = frozenset(
    """
    to type source replyto acklevel priority protocol dataschema specversion performative datacontenttype
    """.split()  # noqa: SIM905
)
"""Names whose values repeat from message to message."""

_NUMBERS = {name: number for number, name in enumerate(NAMES)}
_MAP, _ARRAY = 5, 4


class EncodeTable:
    """The values this side has defined on a connection."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def encode(self, message: Message) -> list[Encoded]:
        """Write the four items of a message."""
        attributes = message.attributes
        out = bytearray(head(_MAP, len(attributes)))
        for name in canonical_order(attributes):
            out += encode(_NUMBERS.get(name, name))
            self._value(name, attributes[name], out)
        proof = None if message.proof is None else message.proof.to_item()
        rest = (encode(message.payload), encode(proof), encode(message.transit.to_item()))
        return [Encoded(bytes(out)), *map(Encoded, rest)]

    def _value(self, name: str, value: str, out: bytearray) -> None:
        known = self._numbers.get(value)
        if known is not None:
            out += encode(known)
        elif _may_intern(name, value, len(self._numbers)):
            self._numbers[value] = len(self._numbers)
            out += head(_ARRAY, 1) + encode(value)
        else:
            out += encode(value)


class DecodeTable:
    """The values the other side has defined on a connection."""

    def __init__(self) -> None:
        self._values: list[str] = []

    def decode(self, fields: Fields, at: int) -> Message:
        """Read the four items of a message, which stand from `at` on."""
        return Message.of_parts(self._attributes(fields.get(at)), fields, at + 1)

    def _attributes(self, item: Item) -> dict[str, str]:
        if not isinstance(item, dict):
            raise Malformed("attributes are no map")
        attributes: dict[str, str] = {}
        for key, value in item.items():
            name = key if isinstance(key, str) else _name(key)
            if name in attributes:
                raise Malformed(f"`{name[:64]}` stands twice")
            attributes[name] = self._read_value(name, value)
        check_attributes(attributes)
        if list(attributes) != canonical_order(attributes):
            raise Malformed("attributes do not stand in canonical order")
        return attributes

    def _read_value(self, name: str, value: Item) -> str:
        match value:
            case str():
                return value
            case [str(defined)]:
                if not _may_intern(name, defined, len(self._values)):
                    raise Malformed("a value is defined that may not be")
                self._values.append(defined)
                return defined
            case int() if not isinstance(value, bool) and 0 <= value < len(self._values):
                return self._values[value]
            case _:
                raise Malformed("a value that was never defined")


def _name(number: int) -> str:
    if not 0 <= number < len(NAMES):
        raise Malformed(f"no attribute has number {number}")
    return NAMES[number]


def _may_intern(name: str, value: str, entries: int) -> bool:
    return name in REPEATING and entries < INTERNED_VALUES_MAX and len(value.encode()) <= INTERNED_VALUE_BYTES_MAX
