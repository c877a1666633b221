"""What the attributes that steer must be: the checks a node makes before it looks at anything else."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire.digest import Digest
from openmesh_sdk.wire.limits import INVITES_MAX, MESSAGE_ID_BYTES_MAX, PARENTS_MAX
from openmesh_sdk.words.addresses import Address, RelativeAddress, check_conversation_id
from openmesh_sdk.words.ids import AgentId
from openmesh_sdk.words.names import PinnedName
from openmesh_sdk.words.performatives import check_performative
from openmesh_sdk.words.times import parse_time

REQUIRED = ("specversion", "id", "source", "type", "time", "to", "performative")
NOT_BUILT = frozenset({"route", "budget", "hopsmax", "delegation", "taint", "dataref", "sealed"})
Priority: TypeAlias = Literal["critical", "urgent", "normal", "bulk"]
PRIORITIES: tuple[Priority, ...] = ("critical", "urgent", "normal", "bulk")
ACK_LEVELS = ("received", "edge", "durable")


class AttributeRefused(Malformed):
    """An attribute that nodes refuse, with the code they do so with."""

    def __init__(self, code: str, pointer: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.pointer = pointer


def check_steering(attributes: Mapping[str, str]) -> None:
    """Check what steers, as a node will."""
    for name in sorted(NOT_BUILT & attributes.keys()):
        raise AttributeRefused("attribute.unsupported", name, f"`{name}` is not built")
    _check_critical(attributes)
    for name in REQUIRED:
        if name not in attributes:
            raise AttributeRefused("attribute.missing", name, f"`{name}` is missing")
    for name, check in _CHECKS.items():
        if name in attributes:
            _check_one(name, attributes[name], check)
    if ("protocol" in attributes) != ("conversationid" in attributes):
        why = "`protocol` and `conversationid` belong together"
        raise AttributeRefused("attribute.missing", "conversationid", why)
    if "stream" in attributes and Address.parse(attributes["to"]).kind not in ("agent", "inbox"):
        raise AttributeRefused("attribute.malformed", "stream", "a stream goes to one agent")
    _check_waiting(attributes)
    schema = attributes.get("dataschema")
    if schema and attributes["type"] != PinnedName.parse_schema_uri(schema).versioned.type:
        raise AttributeRefused("attribute.malformed", "type", "`type` does not agree with `dataschema`")


def _check_critical(attributes: Mapping[str, str]) -> None:
    critical = attributes.get("critical")
    for name in critical.split(",") if critical else ():
        if name not in UNDERSTOOD:
            raise AttributeRefused("attribute.unsupported", name, f"`{name}` is critical and not understood")
        if name not in attributes:
            why = f"`critical` names `{name}`, which is not there"
            raise AttributeRefused("attribute.malformed", "critical", why)


def _check_waiting(attributes: Mapping[str, str]) -> None:
    """Only mail waits, and not for longer than it is of use."""
    if "notbefore" not in attributes:
        return
    until, expires = parse_time(attributes["notbefore"]), attributes.get("expirytime")
    is_mail = Address.parse(attributes["to"]).kind in ("agent", "inbox") and "protocol" not in attributes
    if not is_mail or (expires is not None and parse_time(expires) <= until):
        why = "`notbefore` is for mail to an agent or inbox, no act, and before `expirytime`"
        raise AttributeRefused("attribute.malformed", "notbefore", why)


def _check_one(name: str, value: str, check: Callable[[str], object]) -> None:
    try:
        check(value)
    except RelativeAddress as why:
        raise AttributeRefused("address.relative", name, str(why)) from why
    except Malformed as why:
        raise AttributeRefused("attribute.malformed", name, f"`{name}`: {why}") from why


def _check_id(text: str) -> None:
    if len(text.encode()) > MESSAGE_ID_BYTES_MAX:
        raise Malformed(f"more than {MESSAGE_ID_BYTES_MAX} bytes")


def _one_of(*values: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text not in values:
            raise Malformed(f"`{text[:64]}` is none of {', '.join(values)}")

    return check


def _list_of(check: Callable[[str], object], most: int) -> Callable[[str], None]:
    def check_list(text: str) -> None:
        items = text.split(",")
        if len(set(items)) != len(items) or len(items) > most:
            raise Malformed(f"a list has at most {most} items, none of them twice")
        for item in items:
            check(item)

    return check_list


def _check_invitation(text: str) -> None:
    role, equals, agent = text.partition("=")
    if not role or not equals:
        raise Malformed("an invitation is role=did:key:…")
    AgentId(agent)


_CHECKS: dict[str, Callable[[str], object]] = {
    "specversion": _one_of("1.0"),
    "id": _check_id,
    "source": AgentId,
    "time": parse_time,
    "to": Address.parse,
    "performative": check_performative,
    "protocol": PinnedName.parse_protocol_uri,
    "conversationid": check_conversation_id,
    "replyto": Address.parse,
    "replyby": parse_time,
    "more": _one_of("true", "false"),
    "parents": _list_of(Digest, PARENTS_MAX),
    "dataschema": PinnedName.parse_schema_uri,
    "expirytime": parse_time,
    "notbefore": parse_time,
    "acklevel": _one_of(*ACK_LEVELS),
    "priority": _one_of(*PRIORITIES),
    "invite": _list_of(_check_invitation, INVITES_MAX),
}
UNDERSTOOD = frozenset({*_CHECKS, *REQUIRED, "datacontenttype", "subject", "inreplyto", "critical", "stream"})
"""The attributes this version understands."""
