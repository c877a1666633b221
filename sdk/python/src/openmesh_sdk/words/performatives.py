"""Performatives: what a message does."""

import re

from openmesh_sdk.errors import Malformed

KNOWN = frozenset(
    """
    inform query-ref query-if request agree refuse cfp propose accept-proposal reject-proposal counter-propose confirm
    disconfirm failure cancel subscribe not-understood inform-if inform-ref propagate proxy request-when
    request-whenever
    """.split()  # noqa: SIM905
)
"""Every act with a name of its own."""
FINAL_REPLIES = frozenset({"inform", "failure", "refuse", "not-understood"})
"""What ends an exchange."""

_OWN = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*")
_CHARS_MAX = 64


def check_performative(text: str) -> str:
    """Check an act and return it: a known one, or one of a domain's own (`acme.bid-bond`)."""
    if text not in KNOWN and (len(text) > _CHARS_MAX or not _OWN.fullmatch(text)):
        raise Malformed(f"`{text[:64]}` is no act: one of {', '.join(sorted(KNOWN))}, or namespace.act")
    return text
