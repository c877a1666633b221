"""The Python client of OpenMesh: connect, send, subscribe, request, work an inbox. Start with `Mesh.connect`."""

from openmesh_sdk.asking.log import LogFilter
from openmesh_sdk.asking.registry import Definition, Retention
from openmesh_sdk.connection.opening import ConnectOptions, fetch_domain
from openmesh_sdk.connection.routes import Gap
from openmesh_sdk.drafting import new_uuid
from openmesh_sdk.errors import (
    Closed,
    Goodbye,
    HandshakeFailed,
    KeyFileError,
    LeaseLost,
    Malformed,
    MeshError,
    NoReply,
    OutcomeUnknown,
    ProtocolError,
    Rejected,
    StreamReset,
    StreamTaken,
    TimedOut,
    TooLarge,
    Unanswerable,
    UnexpectedReply,
    Unreachable,
)
from openmesh_sdk.identity import Identity
from openmesh_sdk.inbox import Held, Inbox, InboxCounts, Job
from openmesh_sdk.local import LocalNode, agent_identity
from openmesh_sdk.mesh import Mesh
from openmesh_sdk.message import Message
from openmesh_sdk.problem import AllowedNext, Problem
from openmesh_sdk.strict_json import canonical_json
from openmesh_sdk.talking.conversation import Conversation, Notice
from openmesh_sdk.talking.request import Exchange, Gathered
from openmesh_sdk.talking.sending import Sent
from openmesh_sdk.talking.stream_reader import StreamReader
from openmesh_sdk.talking.stream_writer import StreamWriter
from openmesh_sdk.talking.subscription import Invalid, Subscription
from openmesh_sdk.wire.digest import Digest
from openmesh_sdk.wire.receipt import Position, Receipt
from openmesh_sdk.words.ids import AgentId, DomainId
from openmesh_sdk.words.names import PinnedName

__all__ = [
    "AgentId",
    "AllowedNext",
    "Closed",
    "ConnectOptions",
    "Conversation",
    "Definition",
    "Digest",
    "DomainId",
    "Exchange",
    "Gap",
    "Gathered",
    "Goodbye",
    "HandshakeFailed",
    "Held",
    "Identity",
    "Inbox",
    "InboxCounts",
    "Invalid",
    "Job",
    "KeyFileError",
    "LeaseLost",
    "LocalNode",
    "LogFilter",
    "Malformed",
    "Mesh",
    "MeshError",
    "Message",
    "NoReply",
    "Notice",
    "OutcomeUnknown",
    "PinnedName",
    "Position",
    "Problem",
    "ProtocolError",
    "Receipt",
    "Rejected",
    "Retention",
    "Sent",
    "StreamReader",
    "StreamReset",
    "StreamTaken",
    "StreamWriter",
    "Subscription",
    "TimedOut",
    "TooLarge",
    "Unanswerable",
    "UnexpectedReply",
    "Unreachable",
    "agent_identity",
    "canonical_json",
    "fetch_domain",
    "new_uuid",
]
