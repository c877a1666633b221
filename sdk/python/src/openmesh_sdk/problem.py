"""Problems: what a refused sender is told, with what would have been accepted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AllowedNext:
    """One act that the protocol allows an agent next."""

    performative: str
    """The act, in its wire form."""
    schema: str | None = None
    """The schema its payload must have."""
    instance: str | None = None
    """The instance of the protocol's machine it would move: `bid[did:key:…]`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was refused, and what would be accepted."""

    code: str
    """Stable, listed in `spec/problems.md`: `protocol.illegal_step`."""
    detail: str
    """What happened, for people."""
    pointer: str | None = None
    """The attribute, argument or JSON pointer concerned."""
    state: str | None = None
    """The state the conversation is in."""
    allowed_next: tuple[AllowedNext, ...] = ()
    """What the sender may do next; only told to agents bound to a role."""
    retry_after_ms: int | None = None
    """When another try makes sense; None: the same thing will be refused again."""

    def __str__(self) -> str:
        """Say code and detail, then what helps."""
        parts = [f"{self.code}: {self.detail}"]
        if self.pointer:
            parts.append(f"at {self.pointer}")
        if self.state:
            parts.append(f"state {self.state}")
        if self.allowed_next:
            parts.append("allowed next: " + ", ".join(one.performative for one in self.allowed_next))
        return "; ".join(parts)
