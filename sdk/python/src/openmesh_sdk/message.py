"""A message: what its sender signed, its proof, and what nodes wrote on the way."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from openmesh_sdk.errors import Malformed, Unanswerable
from openmesh_sdk.strict_json import parse_strict
from openmesh_sdk.wire.attributes import encode_attributes, message_digest, read_attributes
from openmesh_sdk.wire.cbor import Item, Writable
from openmesh_sdk.wire.digest import Digest
from openmesh_sdk.wire.fields import Fields
from openmesh_sdk.wire.proof import Proof
from openmesh_sdk.wire.receipt import Position, read_logs, read_position
from openmesh_sdk.words.ids import AgentId
from openmesh_sdk.words.performatives import FINAL_REPLIES
from openmesh_sdk.words.times import parse_time

JSON_TYPE = "application/json"
_NOTICE_TYPE = "mesh/notice.v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Transit:
    """What nodes wrote on the way; nobody signed it."""

    position: Position | None = None
    """Where the message is kept; None if it is not."""
    logs: tuple[tuple[str, int], ...] = ()
    received_ms: int | None = None
    """When the node decided."""
    traceparent: str | None = None
    tracestate: str | None = None

    def to_item(self) -> Writable:
        """Give the form of a sender, who may write the trace context alone."""
        items: list[Writable] = [None, [], None, self.traceparent, self.tracestate]
        while items[-1] is None:
            items.pop()
        return items

    @classmethod
    def of_item(cls, item: Item) -> "Transit":
        """Read the form on the wire."""
        fields = Fields(item, "a transit part")
        position, logs = read_position(fields.get(0)), read_logs(fields.items(1))
        received = None if fields.get(2) is None else fields.integer(2)
        return cls(position, logs, received, fields.optional_text(3), fields.optional_text(4))


@dataclass(frozen=True)
class Message:
    """A message, signed or about to be."""

    attributes: Mapping[str, str]
    payload: bytes = b""
    proof: Proof | None = None
    transit: Transit = field(default_factory=Transit)

    @cached_property
    def digest(self) -> Digest:
        """Its identity: what receipts, `parents` and proofs name."""
        return message_digest(self.attributes, self.payload)

    @property
    def id(self) -> str:
        """The sender's own name for it."""
        return self.attributes.get("id", "")

    @cached_property
    def sender(self) -> AgentId:
        """Who sent it."""
        try:
            return AgentId(self.attributes["source"])
        except (KeyError, Malformed):
            raise Unanswerable("the message names no sender") from None

    @property
    def to(self) -> str:
        """Its destination, absolute."""
        return self.attributes.get("to", "")

    @property
    def performative(self) -> str:
        """What it does: inform, request, propose …."""
        return self.attributes.get("performative", "")

    @property
    def type(self) -> str:
        """The CloudEvents type, such as `market/rfp.v1`."""
        return self.attributes.get("type", "")

    @property
    def conversation_id(self) -> str | None:
        """The conversation it is an act of."""
        return self.attributes.get("conversationid")

    @property
    def in_reply_to(self) -> str | None:
        """The id of the message it answers."""
        return self.attributes.get("inreplyto")

    @property
    def parents(self) -> tuple[Digest, ...]:
        """Digests of the messages it follows."""
        parents = self.attributes.get("parents")
        return tuple(Digest(one) for one in parents.split(",")) if parents else ()

    @property
    def time(self) -> datetime:
        """When its sender made it."""
        return _EPOCH + timedelta(milliseconds=parse_time(self.attributes.get("time", "")))

    @property
    def position(self) -> Position | None:
        """Where it is kept; None for what was handed over live."""
        return self.transit.position

    @property
    def is_signed(self) -> bool:
        """Whether it has its sender's signature; else the node vouches for it."""
        return self.proof is not None

    @property
    def is_act(self) -> bool:
        """Whether it is an act of a conversation."""
        return "protocol" in self.attributes and "conversationid" in self.attributes

    @property
    def is_notice(self) -> bool:
        """Whether it is a node's notice of a step that no act made."""
        return self.type == _NOTICE_TYPE

    @property
    def is_final_reply(self) -> bool:
        """Whether it ends an exchange: inform, failure, refuse or not-understood, without `more`."""
        return self.performative in FINAL_REPLIES and self.attributes.get("more") != "true"

    @property
    def is_json(self) -> bool:
        """Whether the payload is JSON."""
        return self.attributes.get("datacontenttype") == JSON_TYPE or "dataschema" in self.attributes

    def json(self) -> Any:  # noqa: ANN401
        """Read the payload as JSON, under the limits of the mesh."""
        return parse_strict(self.payload)

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.payload.decode()

    @property
    def content(self) -> Any:  # noqa: ANN401
        """The payload as what it says it is: JSON, text, or bytes."""
        if self.is_json:
            return self.json()
        if self.attributes.get("datacontenttype", "").startswith("text/"):
            return self.text
        return self.payload

    def __str__(self) -> str:
        """Say what it is, for logs."""
        shown = json.dumps(self.text[:80]) if self.is_json else f"{len(self.payload)} bytes"
        return f"{self.performative} {self.type} to {self.to} ({shown})"

    @classmethod
    def of_item(cls, item: Item) -> "Message":
        """Read the form of leases and records, without interning."""
        fields = Fields(item, "a message")
        return cls.of_parts(read_attributes(fields.get(0)), fields, 1)

    @classmethod
    def of_parts(cls, attributes: Mapping[str, str], fields: Fields, at: int) -> "Message":
        """Read payload, proof and transit part, which stand from `at` on."""
        proof = fields.get(at + 1)
        return cls(
            attributes=attributes,
            payload=fields.binary(at),
            proof=None if proof is None else Proof.of_item(proof),
            transit=Transit.of_item(fields.get(at + 2)),
        )

    def to_item(self) -> Writable:
        """Give the form without interning."""
        proof = None if self.proof is None else self.proof.to_item()
        return [encode_attributes(self.attributes), self.payload, proof, self.transit.to_item()]
