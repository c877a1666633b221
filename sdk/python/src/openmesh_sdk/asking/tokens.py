"""Tokens: what lets a caller without a key take part over HTTP as the agent. Nodes know only their SHA-256."""

import os
from collections.abc import Collection
from datetime import timedelta
from typing import Literal

from openmesh_sdk.asking.rows import Row, parse_rows
from openmesh_sdk.session import Session
from openmesh_sdk.wire.cbor import Writable
from openmesh_sdk.wire.digest import base64url, sha256
from openmesh_sdk.words.times import moment_ms

Scope = Literal["send", "read", "inbox", "publish", "admin"]

_ISSUE_TOKEN, _REVOKE_TOKEN, _LIST_TOKENS = 30, 32, 33
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
        token = f"omt_{base64url(os.urandom(_TOKEN_BYTES))}"
        numbers = sorted(_SCOPES.index(scope) for scope in set(scopes))
        grant: list[Writable] = [_known_as(token), numbers, moment_ms(expires_in), label, custodial]
        await self.ask_for("issue_token", _ISSUED, _ISSUE_TOKEN, None, grant, None)
        return token

    async def revoke_token(self, token: str) -> None:
        """Make a token worthless, at once."""
        await self.tell("revoke_token", _REVOKE_TOKEN, _known_as(token), None)

    async def tokens(self) -> list[Row]:
        """List the agent's tokens, without the tokens themselves."""
        return parse_rows(await self.ask_for("tokens", _ROWS, _LIST_TOKENS, None, None))


def _known_as(token: str) -> bytes:
    return sha256(token.encode())
