"""Reading structs and variants out of CBOR items: what is missing is absent, what is more is skipped."""

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire.cbor import Item


class Fields:
    """The fields of a struct, by number."""

    __slots__ = ("_items", "_what")

    def __init__(self, item: Item, what: str) -> None:
        if not isinstance(item, list):
            raise Malformed(f"{what} is no list of fields")
        self._items = item
        self._what = what

    def get(self, number: int) -> Item:
        """Return a field as it stands; absent ones are None."""
        return self._items[number] if number < len(self._items) else None

    def all(self) -> "tuple[Item, ...]":
        """Return all fields as they stand."""
        return tuple(self._items)

    def uint(self, number: int) -> int:
        """Return a number that must be there and not negative."""
        value = self.get(number)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(number, "a number")
        return value

    def integer(self, number: int) -> int:
        """Return a number that must be there."""
        value = self.get(number)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(number, "a number")
        return value

    def flag(self, number: int) -> bool:
        """Return a truth value that must be there."""
        value = self.get(number)
        if not isinstance(value, bool):
            raise self._wrong(number, "true or false")
        return value

    def text(self, number: int) -> str:
        """Return a text that must be there."""
        value = self.get(number)
        if not isinstance(value, str):
            raise self._wrong(number, "a text")
        return value

    def binary(self, number: int, size: int | None = None) -> bytes:
        """Return a byte string that must be there, of this size if one is given."""
        value = self.get(number)
        if not isinstance(value, bytes) or (size is not None and len(value) != size):
            raise self._wrong(number, "a byte string" if size is None else f"{size} bytes")
        return value

    def items(self, number: int) -> list[Item]:
        """Return a list; an absent one is empty."""
        value = self.get(number)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(number, "a list")
        return value

    def optional_uint(self, number: int) -> int | None:
        """Return a number that may be absent."""
        return None if self.get(number) is None else self.uint(number)

    def optional_text(self, number: int) -> str | None:
        """Return a text that may be absent."""
        return None if self.get(number) is None else self.text(number)

    def _wrong(self, number: int, expected: str) -> Malformed:
        return Malformed(f"field {number} of {self._what} is not {expected}")


def variant(item: Item, what: str) -> tuple[int, Fields]:
    """Read `[number, [fields]]`, or a plain number."""
    if isinstance(item, int) and not isinstance(item, bool):
        return item, Fields([], what)
    outer = Fields(item, what)
    return outer.uint(0), Fields(outer.items(1), what)
