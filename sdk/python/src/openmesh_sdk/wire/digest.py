"""SHA-256 in contexts, digests and their text form."""

import base64
import hashlib
import re
from typing import Self

from openmesh_sdk.errors import Malformed

DIGEST_BYTES = 32
_TEXT = re.compile(r"[A-Za-z0-9_-]{43}")


class Digest(str):
    """A SHA-256 digest in its text form: base64url, 43 characters."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and take the text."""
        if not _TEXT.fullmatch(text) or base64url(unbase64url(text)) != text:
            raise Malformed(f"`{text[:64]}` is no digest: 43 characters of base64url")
        return super().__new__(cls, text)

    @classmethod
    def of_bytes(cls, digest: bytes) -> Self:
        """Take the 32 bytes of a digest."""
        if len(digest) != DIGEST_BYTES:
            raise Malformed("a digest has 32 bytes")
        return super().__new__(cls, base64url(digest))

    @property
    def raw(self) -> bytes:
        """The 32 bytes."""
        return unbase64url(self)


def sha256(*parts: bytes) -> bytes:
    """Hash the parts, joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def hash_in(context: str, *parts: bytes) -> bytes:
    """Hash the parts for one use: H(context; parts) of the pages in `spec/`."""
    return sha256(context.encode(), b"\0", *parts)


def base64url(raw: bytes) -> str:
    """Write RFC 4648 §5 without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unbase64url(text: str) -> bytes:
    """Read RFC 4648 §5 without padding."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise Malformed("no base64url") from None
