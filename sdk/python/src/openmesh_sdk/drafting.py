"""Drafts: messages in the making, up to their signature."""

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, TypedDict

from openmesh_sdk.errors import TooLarge
from openmesh_sdk.identity import Identity
from openmesh_sdk.message import JSON_TYPE, Message
from openmesh_sdk.strict_json import canonical_json
from openmesh_sdk.wire.attributes import check_attributes
from openmesh_sdk.wire.limits import PAYLOAD_BYTES_MAX
from openmesh_sdk.wire.steering import Priority, check_steering
from openmesh_sdk.words.names import PinnedName
from openmesh_sdk.words.times import format_time, moment_ms, now_ms

Moment: TypeAlias = datetime | timedelta | float
"""A time with its zone, or how long from here; a number is in seconds."""
AckLevel: TypeAlias = Literal["received", "edge", "durable"]

_UNTYPED = "mesh/untyped.v1"
_TEXT_TYPE = "text/plain"
_BYTES_TYPE = "application/octet-stream"


class Options(TypedDict, total=False):
    """What a message can have besides destination, act and payload; all of it is signed."""

    schema: PinnedName | str
    """The schema of the payload, which is then JSON; a text is a name or range, `market/rfp@^1`."""
    type: str
    """The CloudEvents type, for messages without a schema."""
    content_type: str
    """The media type; otherwise what the payload is: bytes, text or JSON."""
    subject: str
    """The application's own."""
    ack_level: AckLevel
    """The least level of keeping."""
    priority: Priority
    """Order in an inbox; normal if not given."""
    expires: Moment
    """After this the message is of no use."""
    not_before: Moment
    """Until then the message waits in its inbox."""
    reply_by: Moment
    """Until when an answer is of use."""
    reply_to: str
    """Where answers go, absolute, if not to the sender."""
    in_reply_to: str
    """The id of the message it answers."""
    more: bool
    """Whether further parts of the same answer follow."""
    parents: Iterable[str]
    """Digests of the messages it follows."""
    protocol: PinnedName
    """The protocol of the conversation it is an act of."""
    conversation_id: str
    """The conversation it is an act of."""
    invite: Mapping[str, str | Iterable[str]]
    """Roles and the agents that the first act of a conversation invites to them."""
    extensions: Mapping[str, str]
    """Any other attribute."""


def draft(source: str, to: str, act: str, payload: object, options: Options) -> Message:
    """Make a message without a proof; `to` is absolute. Checks it as a node will."""
    content, content_type = encode_payload(payload, options)
    schema = _pinned(options)
    attributes = {
        "specversion": "1.0",
        "id": new_uuid(),
        "source": source,
        "time": format_time(now_ms()),
        "to": to,
        "performative": act,
        "type": schema.versioned.type if schema else options.get("type", _UNTYPED),
    }
    attributes |= {name: value for name, value in _optional(options) if value is not None}
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    attributes |= options.get("extensions", {})
    check_attributes(attributes)
    check_steering(attributes)
    if len(content) > PAYLOAD_BYTES_MAX:
        raise TooLarge(f"{len(content)} bytes of payload, at most {PAYLOAD_BYTES_MAX}: send several messages")
    return Message(attributes, content)


def sign(message: Message, identity: Identity) -> Message:
    """Put the sender's proof on a message."""
    return Message(message.attributes, message.payload, identity.sign(message.digest), message.transit)


def sign_batch(messages: list[Message], identity: Identity) -> list[Message]:
    """Put proofs on messages, with one signature for each 256."""
    proofs = identity.sign_batch([message.digest for message in messages])
    pairs = zip(messages, proofs, strict=True)
    return [Message(one.attributes, one.payload, proof, one.transit) for one, proof in pairs]


def new_uuid() -> str:
    """Draw a UUIDv7 (RFC 9562), for messages and conversations."""
    raw = bytearray(now_ms().to_bytes(6, "big") + os.urandom(10))
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def encode_payload(payload: object, options: Options) -> tuple[bytes, str | None]:
    """Write a payload: bytes as they stand, a text as text, anything else as RFC 8785 JSON."""
    content_type, has_schema = options.get("content_type"), "schema" in options
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload), content_type or (JSON_TYPE if has_schema else _BYTES_TYPE)
    if has_schema or content_type == JSON_TYPE:
        return canonical_json(payload), JSON_TYPE
    if payload is None:
        return b"", content_type
    if isinstance(payload, str):
        return payload.encode(), content_type or _TEXT_TYPE
    return canonical_json(payload), content_type or JSON_TYPE


def _pinned(options: Options) -> PinnedName | None:
    schema = options.get("schema")
    return PinnedName.parse(schema) if isinstance(schema, str) else schema


def _optional(options: Options) -> Iterator[tuple[str, str | None]]:
    schema, protocol, more = _pinned(options), options.get("protocol"), options.get("more")
    yield "dataschema", schema.schema_uri if schema else None
    yield "subject", options.get("subject")
    yield "acklevel", options.get("ack_level")
    yield "priority", options.get("priority")
    yield "expirytime", _time(options.get("expires"))
    yield "notbefore", _time(options.get("not_before"))
    yield "replyby", _time(options.get("reply_by"))
    yield "replyto", options.get("reply_to")
    yield "inreplyto", options.get("in_reply_to")
    yield "more", None if more is None else str(more).lower()
    yield "parents", ",".join(options.get("parents", ())) or None
    yield "protocol", protocol.protocol_uri if protocol else None
    yield "conversationid", options.get("conversation_id")
    yield "invite", ",".join(_invitations(options.get("invite", {}))) or None


def _time(moment: Moment | None) -> str | None:
    return None if moment is None else format_time(moment_ms(moment))


def _invitations(invite: Mapping[str, str | Iterable[str]]) -> Iterator[str]:
    for role, agents in invite.items():
        for agent in (agents,) if isinstance(agents, str) else agents:
            yield f"{role}={agent}"
