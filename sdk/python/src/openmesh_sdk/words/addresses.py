"""Addresses: absolute ones, and what people type."""

import re
from dataclasses import dataclass

from openmesh_sdk.errors import Malformed
from openmesh_sdk.words.ids import AgentId, DomainId
from openmesh_sdk.words.topics import check_pattern, check_topic

_SCHEME = "mesh://"
_NOT_BUILT = ("board", "group", "session", "cap")
_AGENT_NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_CONVERSATION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RelativeAddress(Malformed):
    """An address that does not begin `mesh://<domain>/`."""


class AddressNotBuilt(Malformed):
    """An address of a kind that this version does not have."""


@dataclass(frozen=True, slots=True)
class Address:
    """One destination."""

    domain: DomainId
    kind: str
    """`agent`, `inbox`, `topic` or `conversation`."""
    path: str
    """A name or id, a topic path, a UUID."""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an absolute address."""
        domain, slash, rest = text.removeprefix(_SCHEME).partition("/")
        if not text.startswith(_SCHEME) or not slash:
            raise RelativeAddress(f"`{text[:64]}` is not absolute: it does not begin mesh://<domain>/")
        kind, _, path = rest.partition("/")
        return cls._checked(DomainId(domain), kind, path)

    @classmethod
    def expand(cls, text: str, home: DomainId) -> "Address":
        """Expand what people type: `topic:market/rfp`, `agent:buyer`, a DID, or an absolute address."""
        if text.startswith(_SCHEME):
            return cls.parse(text)
        kind, _, path = (f"agent:{text}" if text.startswith("did:") else text).partition(":")
        return cls._checked(home, kind, path)

    @classmethod
    def _checked(cls, domain: DomainId, kind: str, path: str) -> "Address":
        if kind in _NOT_BUILT:
            raise AddressNotBuilt(f"addresses of kind {kind} are not built")
        match kind:
            case "topic":
                check_topic(path)
            case "agent" | "inbox":
                AgentId(path) if path.startswith("did:") else check_agent_name(path)
            case "conversation":
                check_conversation_id(path)
            case _:
                raise Malformed(
                    f"`{kind[:64]}` is no kind of address; people write "
                    "topic:a/b, agent:name, inbox:name, conversation:uuid or a did:key"
                )
        return cls(domain, kind, path)

    def __str__(self) -> str:
        """Write the absolute form."""
        return f"{_SCHEME}{self.domain}/{self.kind}/{self.path}"


def check_agent_name(name: str) -> str:
    """Check the name of an agent and return it."""
    if not _AGENT_NAME.fullmatch(name):
        raise Malformed(f"`{name[:64]}` is no agent name: a-z 0-9 - . _ after a letter, at most 64")
    return name


def check_conversation_id(text: str) -> str:
    """Check the id of a conversation and return it: a UUID, hyphenated, lower case."""
    if not _CONVERSATION.fullmatch(text):
        raise Malformed(f"`{text[:64]}` is no conversation id: a UUID, hyphenated, in lower case")
    return text


def expand_pattern(text: str, home: DomainId) -> str:
    """Expand a topic pattern that people type: `topic:market/*`, `market/*`, or absolute."""
    if text.startswith(_SCHEME):
        return text
    return f"{_SCHEME}{home}/topic/{check_pattern(text.removeprefix('topic:'))}"
