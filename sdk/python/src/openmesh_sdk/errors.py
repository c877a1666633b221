"""What can go wrong for a client, and what to do about it. Everything raised here is a `MeshError`."""

from openmesh_sdk.problem import AllowedNext, Problem


class MeshError(Exception):
    """Anything that went wrong between an agent and its node."""


class Malformed(MeshError, ValueError):
    """A text or bytes are not what they should be; nothing was sent."""


class TooLarge(Malformed):
    """Larger than a frame may be: send less, or in several messages."""


class KeyFileError(MeshError):
    """A key file cannot be used; the text says what to do."""


class Unreachable(MeshError):
    """No connection could be opened."""


class HandshakeFailed(MeshError):
    """One side did not prove itself; nothing was sent.

    If the domain was made anew on purpose, fetch its id again and pin that.
    """


class Closed(MeshError):
    """The connection is gone: call `reconnect`, then subscribe again."""


class Goodbye(Closed):
    """The node ended the connection and said why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"the node said goodbye: {problem}")
        self.problem = problem


class TimedOut(MeshError):
    """A step took too long: try again, or look at the node with `openmesh doctor`."""


class OutcomeUnknown(MeshError):
    """Nobody can say whether a message was taken in: send the same bytes again (`send_signed`)."""


class NoReply(OutcomeUnknown):
    """No final reply came in time: whether the request was worked on is not known."""


class UnexpectedReply(MeshError):
    """The node's reply belongs to another command, or cannot be read: node and SDK differ in version."""


class Unanswerable(MeshError):
    """The message to be answered says not, or not legibly, whom to answer."""


class Rejected(MeshError):
    """The node refused a message or a command; the problem says what would be accepted."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem

    @property
    def code(self) -> str:
        """The stable code, listed in `spec/problems.md`."""
        return self.problem.code

    @property
    def detail(self) -> str:
        """What happened, for people."""
        return self.problem.detail

    @property
    def pointer(self) -> str | None:
        """The attribute, argument or JSON pointer concerned."""
        return self.problem.pointer

    @property
    def state(self) -> str | None:
        """The state the conversation is in."""
        return self.problem.state

    @property
    def allowed_next(self) -> tuple[AllowedNext, ...]:
        """What the sender may do next."""
        return self.problem.allowed_next

    @property
    def retry_after(self) -> float | None:
        """Seconds after which another try makes sense; None: the same thing will be refused again."""
        after_ms = self.problem.retry_after_ms
        return None if after_ms is None else after_ms / 1000


class StreamReset(Rejected):
    """A stream was broken off: by its other end, by the node, or by policy."""


class StreamTaken(MeshError):
    """The stream is being read already: its offer came again since the node restarted."""


class ProtocolError(Rejected):
    """The protocol of the conversation does not allow this act: see `state` and `allowed_next`."""


class LeaseLost(Rejected):
    """The lease ended, or another one followed it: somebody else may have the message."""


def refusal(problem: Problem) -> Rejected:
    """Make the exception that fits a problem."""
    if problem.code.startswith("protocol."):
        return ProtocolError(problem)
    if problem.code == "lease.stale":
        return LeaseLost(problem)
    return Rejected(problem)
