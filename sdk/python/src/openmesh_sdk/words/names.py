"""Names of schemas and protocols: `[authority/]namespace/name@v<semver>`, and pins."""

import re
from dataclasses import dataclass

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire.digest import Digest
from openmesh_sdk.words.ids import DomainId

RESERVED_AUTHORITY = "openmesh"
_RESERVED_NAMESPACES = ("mesh", "fipa", "market")
_LABEL = re.compile(r"[a-z](?:[a-z0-9-]{0,62}[a-z0-9])?")
_NUMBER = r"(?:0|[1-9][0-9]*)"
_IDENTIFIER = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?(\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
)
_NAME_PARTS = 2


@dataclass(frozen=True, slots=True)
class VersionedName:
    """A definition's name and version, qualified: `openmesh/market/rfp@v1.0.0`."""

    name: str
    """`authority/namespace/label`"""
    version: str
    """`1.0.0`"""

    @classmethod
    def parse(cls, text: str, home: str | None = None) -> "VersionedName":
        """Read a name; an unqualified one is `openmesh`'s if its namespace is reserved, else the home domain's."""
        name, at, version = text.partition("@v")
        if not at or not _VERSION.fullmatch(version):
            raise Malformed(f"`{text[:64]}` has no version of the form @v1.2.3")
        return cls(qualify(name, home), version)

    @property
    def type(self) -> str:
        """The CloudEvents `type` that goes with this schema: `market/rfp.v1`."""
        return f"{self.name.partition('/')[2]}.v{self.version.partition('.')[0]}"

    def __str__(self) -> str:
        """Write the qualified form."""
        return f"{self.name}@v{self.version}"


@dataclass(frozen=True, slots=True)
class PinnedName:
    """A definition's name, version and digest: `openmesh/market/rfp@v1.0.0#sha256-…`."""

    versioned: VersionedName
    digest: Digest
    """Of the definition's stored form."""

    @classmethod
    def parse(cls, text: str) -> "PinnedName":
        """Read a pinned name."""
        return cls._split(text, "#sha256-")

    @classmethod
    def parse_schema_uri(cls, text: str) -> "PinnedName":
        """Read a `dataschema` attribute."""
        return cls._of_uri(text, "mesh-schema:")

    @classmethod
    def parse_protocol_uri(cls, text: str) -> "PinnedName":
        """Read a `protocol` attribute."""
        return cls._of_uri(text, "mesh-protocol:")

    @classmethod
    def _of_uri(cls, text: str, scheme: str) -> "PinnedName":
        if not text.startswith(scheme):
            raise Malformed(f"`{text[:64]}` does not begin {scheme}")
        return cls._split(text.removeprefix(scheme), "?sha256=")

    @classmethod
    def _split(cls, text: str, mark: str) -> "PinnedName":
        versioned, found, digest = text.partition(mark)
        if not found:
            raise Malformed(f"`{text[:64]}` is not pinned to a digest")
        return cls(VersionedName.parse(versioned), Digest(digest))

    @property
    def schema_uri(self) -> str:
        """The `dataschema` attribute of a message with this schema."""
        return f"mesh-schema:{self.versioned}?sha256={self.digest}"

    @property
    def protocol_uri(self) -> str:
        """The `protocol` attribute of an act of this protocol."""
        return f"mesh-protocol:{self.versioned}?sha256={self.digest}"

    def __str__(self) -> str:
        """Write the pinned form."""
        return f"{self.versioned}#sha256-{self.digest}"


def qualify(text: str, home: str | None = None) -> str:
    """Put the authority in front of a name; without a home, only qualified names are taken."""
    parts = text.split("/")
    if len(parts) == _NAME_PARTS and home is not None:
        parts.insert(0, RESERVED_AUTHORITY if parts[0] in _RESERVED_NAMESPACES else home)
    if len(parts) != _NAME_PARTS + 1 or not all(_LABEL.fullmatch(part) for part in parts[1:]):
        raise Malformed(f"`{text[:64]}` is not of the form [authority/]namespace/name")
    if parts[0] != RESERVED_AUTHORITY:
        DomainId(parts[0])
    return "/".join(parts)
