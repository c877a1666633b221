"""Ids of agents and domains in their text form."""

import base64
import re
from functools import lru_cache
from typing import Self

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire.digest import DIGEST_BYTES
from openmesh_sdk.wire.ed25519 import KEY_BYTES, is_usable

_DID = "did:key:z"
_DID_CHARS_MAX = 73
_ED25519 = b"\xed\x01"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DOMAIN = re.compile(r"b[a-z2-7]{52}")
_IDS_REMEMBERED = 4096


class AgentId(str):
    """Who an agent or a node is: an Ed25519 public key as a `did:key`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and take the text."""
        _key_of(text)
        return super().__new__(cls, text)

    @classmethod
    def of_key(cls, public_key: bytes) -> Self:
        """Make the id of a public key."""
        if not is_usable(public_key):
            raise Malformed("no usable Ed25519 public key")
        return super().__new__(cls, _text_of(public_key))

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the key."""
        return _key_of(self)

    @property
    def short(self) -> str:
        """The last eight characters, for tables and logs."""
        return self[-8:]


class DomainId(str):
    """What domain it is: the hash of its inception, in multibase base32."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and take the text."""
        if not _DOMAIN.fullmatch(text) or _domain_text(_domain_bytes(text)) != text:
            raise Malformed(f"`{text[:64]}` is no domain id: b and 52 characters of a-z 2-7")
        return super().__new__(cls, text)

    @classmethod
    def of_bytes(cls, digest: bytes) -> Self:
        """Take the 32 bytes of the hash."""
        if len(digest) != DIGEST_BYTES:
            raise Malformed("a domain id has 32 bytes")
        return super().__new__(cls, _domain_text(digest))

    @property
    def raw(self) -> bytes:
        """The 32 bytes."""
        return _domain_bytes(self)


def _domain_text(digest: bytes) -> str:
    return "b" + base64.b32encode(digest).decode().rstrip("=").lower()


def _domain_bytes(text: str) -> bytes:
    return base64.b32decode(text[1:].upper() + "====")


@lru_cache(maxsize=_IDS_REMEMBERED)
def _text_of(public_key: bytes) -> str:
    number, text = int.from_bytes(_ED25519 + public_key, "big"), ""
    while number:
        number, digit = divmod(number, len(_BASE58))
        text = _BASE58[digit] + text
    return _DID + text


@lru_cache(maxsize=_IDS_REMEMBERED)
def _key_of(text: str) -> bytes:
    refused = Malformed(f"`{text[:64]}` is no agent id: did:key:z…")
    if not text.startswith(_DID) or len(text) > _DID_CHARS_MAX:
        raise refused
    number = 0
    for character in text[len(_DID) :]:
        digit = _BASE58.find(character)
        if digit < 0:
            raise refused
        number = number * len(_BASE58) + digit
    size = len(_ED25519) + KEY_BYTES
    raw = number.to_bytes(size, "big") if number < 1 << (8 * size) else b""
    key = raw.removeprefix(_ED25519)
    if len(key) != KEY_BYTES or text != _text_of(key):
        raise refused
    if not is_usable(key):
        raise Malformed(f"`{text}` holds no usable Ed25519 public key")
    return key
