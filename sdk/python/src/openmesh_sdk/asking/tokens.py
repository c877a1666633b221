"""Tokens: what lets a caller without a key take part over HTTP as the agent. Nodes know only their SHA-256."""

import os
from collections.abc import Collection
from datetime import timedelta
from typing import Literal

from openmesh_sdk.asking.rows import Row, parse_rows
from openmesh_sdk.session import Session
from openmesh_sdk.wire.cbor import Writable
from openmesh_sdk.wire.digest import base64url, sha256
from openmesh_sdk.words.ids import AgentId
from openmesh_sdk.words.times import moment_ms

Scope = Literal["send", "read", "inbox", "publish", "admin"]

_ISSUE_TOKEN, _REGISTER_KEYLESS, _REVOKE_TOKEN, _LIST_TOKENS = 30, 31, 32, 33
_ISSUED, _ROWS = 15, 5
_SCOPES: tuple[Scope, ...] = ("send", "read", "inbox", "publish", "admin")
_TOKEN_BYTES = 32


class Tokens(Session):
    """What an agent may do with its tokens."""

    async def issue_token(
        self, scopes: Collection[Scope], *, expires_in: timedelta, label: str = "", custodial: bool = False
    ) -> str:
        """Draw a token that stands for the agent, and have the node know it; it is shown here and nowhere again.

        With `custodial` the node makes and keeps a key for the agent, and signs with it what the token's holder sends.
        """
        token = _draw()
        grant = _grant(token, scopes, expires_in, label, custodial=custodial)
        await self.ask_for("issue_token", _ISSUED, _ISSUE_TOKEN, None, grant, None)
        return token

    async def register_keyless(
        self,
        name: str,
        scopes: Collection[Scope],
        *,
        expires_in: timedelta,
        label: str = "",
        admin_token: str | None = None,
    ) -> tuple[AgentId, str]:
        """Register an agent without a key: the node makes and keeps one. Returns its id and its token.

        The admin token is not needed where the domain is open.
        """
        token = _draw()
        grant = _grant(token, scopes, expires_in, label, custodial=True)
        issued = await self.ask_for("register_keyless", _ISSUED, _REGISTER_KEYLESS, name, grant, admin_token)
        return AgentId.of_key(issued.binary(0)), token

    async def revoke_token(self, token: str) -> None:
        """Make a token worthless, at once."""
        await self.tell("revoke_token", _REVOKE_TOKEN, _known_as(token), None)

    async def tokens(self) -> list[Row]:
        """List the agent's tokens, without the tokens themselves."""
        return parse_rows(await self.ask_for("tokens", _ROWS, _LIST_TOKENS, None, None))


def _draw() -> str:
    return f"omt_{base64url(os.urandom(_TOKEN_BYTES))}"


def _grant(
    token: str, scopes: Collection[Scope], expires_in: timedelta, label: str, *, custodial: bool
) -> list[Writable]:
    numbers: list[Writable] = [*sorted(_SCOPES.index(scope) for scope in set(scopes))]
    return [_known_as(token), numbers, moment_ms(expires_in), label, custodial]


def _known_as(token: str) -> bytes:
    return sha256(token.encode())
