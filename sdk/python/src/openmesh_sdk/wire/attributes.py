"""The attributes of a message: their rules, their canonical bytes, the digest."""

import re
from collections.abc import Iterable, Mapping

from openmesh_sdk.errors import Malformed, TooLarge
from openmesh_sdk.wire.cbor import Encoded, Item, encode, head
from openmesh_sdk.wire.digest import Digest, hash_in, sha256
from openmesh_sdk.wire.limits import ATTRIBUTE_NAME_CHARS_MAX, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX

TRANSIT_NAMES = frozenset(
    {"proof", "hops", "hopsleft", "position", "receivedtime", "traceparent", "tracestate", "data"}
)
"""Names of the transit part and the payload, which cannot be signed."""

_NAME = re.compile(rf"[a-z0-9]{{1,{ATTRIBUTE_NAME_CHARS_MAX}}}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAP = 5


def canonical_order(names: Iterable[str]) -> list[str]:
    """Sort names as deterministic CBOR does: shorter ones first."""
    return sorted(names, key=lambda name: (len(name), name))


def check_attribute(name: str, value: str) -> None:
    """Check one attribute."""
    if not _NAME.fullmatch(name):
        raise Malformed(f"`{name[:64]}` is not an attribute name: 1 to 20 characters of a-z 0-9")
    if name in TRANSIT_NAMES:
        raise Malformed(f"`{name}` belongs to the transit part or the payload and cannot be signed")
    if not value or _CONTROL.search(value):
        raise Malformed(f"the value of `{name}` is empty or has control characters")


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Check all attributes of a message, and their size."""
    for name, value in attributes.items():
        check_attribute(name, value)
    size = sum(len(name) + len(value.encode()) for name, value in attributes.items())
    if size > ATTRIBUTES_BYTES_MAX or len(attributes) > ATTRIBUTES_MAX:
        raise TooLarge(f"more than {ATTRIBUTES_MAX} attributes or {ATTRIBUTES_BYTES_MAX} bytes of them")


def encode_attributes(attributes: Mapping[str, str]) -> Encoded:
    """Write attributes as deterministic CBOR."""
    out = bytearray(head(_MAP, len(attributes)))
    for name in canonical_order(attributes):
        out += encode(name) + encode(attributes[name])
    return Encoded(bytes(out))


def read_attributes(item: Item) -> dict[str, str]:
    """Read attributes, which must stand in canonical order."""
    if not isinstance(item, dict):
        raise Malformed("attributes are no map")
    attributes: dict[str, str] = {}
    for name, value in item.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise Malformed("attributes are text to text")
        attributes[name] = value
    check_attributes(attributes)
    if list(attributes) != canonical_order(attributes):
        raise Malformed("attributes do not stand in canonical order")
    return attributes


def canonical_bytes(attributes: Mapping[str, str], payload: bytes) -> bytes:
    """Write what a sender signs: `[attributes, SHA-256 of the payload]`."""
    return encode([encode_attributes(attributes), sha256(payload)])


def message_digest(attributes: Mapping[str, str], payload: bytes) -> Digest:
    """Hash the canonical bytes."""
    return Digest.of_bytes(hash_in("openmesh message v1", canonical_bytes(attributes, payload)))
