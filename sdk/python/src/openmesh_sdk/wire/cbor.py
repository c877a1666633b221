"""The part of CBOR (RFC 8949) that the wire uses: definite lengths, shortest heads when written."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from openmesh_sdk.errors import Malformed

Item: TypeAlias = "int | bytes | str | bool | list[Item] | dict[int | str, Item] | None"
"""What a reader gives."""
Writable: TypeAlias = (
    "int | bytes | str | bool | Encoded | Sequence[Writable] | Mapping[int, Writable] | Mapping[str, Writable]"
    " | Mapping[int | str, Writable] | None"
)
"""What a writer takes."""

DEPTH_MAX = 16

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_FALSE, _TRUE, _NULL = 20, 21, 22
_DIRECT = 24
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}
_HEAD_MAX = 1 << 64


class Encoded(bytes):
    """Bytes that are CBOR already and are written as they stand."""

    __slots__ = ()


def head(major: int, number: int) -> bytes:
    """Write the head of an item in its shortest form."""
    if number < _DIRECT:
        return bytes((major << 5 | number,))
    for mark, size in _SIZES.items():
        if number < 1 << (8 * size):
            return bytes((major << 5 | mark,)) + number.to_bytes(size, "big")
    raise Malformed(f"{number} is too large to be written")


def encode(item: Writable) -> bytes:
    """Write one item; maps in the order given."""
    out = bytearray()
    _write(item, out)
    return bytes(out)


def _write(item: Writable, out: bytearray) -> None:
    match item:
        case Encoded():
            out += item
        case None:
            out.append(_SIMPLE << 5 | _NULL)
        case bool():
            out.append(_SIMPLE << 5 | (_TRUE if item else _FALSE))
        case int():
            out += head(_UNSIGNED, item) if item >= 0 else head(_NEGATIVE, -1 - item)
        case bytes():
            out += head(_BYTES, len(item)) + item
        case str():
            text = item.encode()
            out += head(_TEXT, len(text)) + text
        case Mapping():
            out += head(_MAP, len(item))
            for key, value in item.items():
                _write(key, out)
                _write(value, out)
        case _:
            out += head(_ARRAY, len(item))
            for one in item:
                _write(one, out)


def decode(encoded: bytes) -> Item:
    """Read one item that is all of `encoded`."""
    reader = Reader(encoded)
    item = reader.item()
    if reader.at != len(encoded):
        raise Malformed("bytes follow the item")
    return item


class Reader:
    """Reads items one after another."""

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded
        self.at = 0

    def item(self, depth: int = 0) -> Item:
        """Read the next item."""
        if depth > DEPTH_MAX:
            raise Malformed(f"nested deeper than {DEPTH_MAX} levels")
        major, number = self._head()
        if major == _BYTES:
            return self._take(number)
        if major == _TEXT:
            return self._text(number)
        if major in (_ARRAY, _MAP):
            self._need(number)
            return self._map(number, depth) if major == _MAP else [self.item(depth + 1) for _ in range(number)]
        return _plain(major, number)

    def _head(self) -> tuple[int, int]:
        if self.at >= len(self.encoded):
            raise Malformed("the bytes end within an item")
        first = self.encoded[self.at]
        self.at += 1
        major, number = first >> 5, first & 31
        if number < _DIRECT:
            return major, number
        size = _SIZES.get(number)
        if size is None or major == _SIMPLE:
            raise Malformed("an item of a kind that the wire does not have")
        return major, int.from_bytes(self._take(size), "big")

    def _take(self, count: int) -> bytes:
        self._need(count)
        taken = self.encoded[self.at : self.at + count]
        self.at += count
        return taken

    def _need(self, count: int) -> None:
        # Every item takes a byte at least, so that no length can promise more than there is.
        if count > len(self.encoded) - self.at:
            raise Malformed("the bytes end within an item")

    def _text(self, count: int) -> str:
        try:
            return self._take(count).decode()
        except UnicodeDecodeError:
            raise Malformed("a text is not UTF-8") from None

    def _map(self, count: int, depth: int) -> dict[int | str, Item]:
        entries: dict[int | str, Item] = {}
        for _ in range(count):
            key = self.item(depth + 1)
            if not isinstance(key, int | str) or isinstance(key, bool) or key in entries:
                raise Malformed("a key of a map stands twice, or is neither a number nor a text")
            entries[key] = self.item(depth + 1)
        return entries


def _plain(major: int, number: int) -> int | bool | None:
    """Items that are nothing but their head."""
    if major == _UNSIGNED:
        return number
    if major == _NEGATIVE:
        return -1 - number
    if major == _SIMPLE and number in (_FALSE, _TRUE):
        return number == _TRUE
    if major == _SIMPLE and number == _NULL:
        return None
    raise Malformed("an item of a kind that the wire does not have")
