"""Points in time: milliseconds since the Unix epoch, written as RFC 3339."""

import re
import time
from datetime import UTC, datetime, timedelta

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire.limits import TIME_CHARS_MAX

_FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def now_ms() -> int:
    """Tell the time by this machine's clock."""
    return time.time_ns() // 1_000_000


def parse_time(text: str) -> int:
    """Read an RFC 3339 time with its offset; what is below a millisecond is cut off."""
    found = _FORM.fullmatch(text) if len(text) <= TIME_CHARS_MAX else None
    if not found:
        raise Malformed(f"`{text[:64]}` is not an RFC 3339 time (2026-01-31T12:00:00Z)")
    seconds, fraction, offset = found.groups()
    try:
        moment = datetime.fromisoformat(seconds + offset.replace("Z", "+00:00"))
    except ValueError:
        raise Malformed(f"`{text[:64]}` is no time there is") from None
    return (moment - _EPOCH) // _MS + int(((fraction or "") + "000")[:3])


def format_time(ms: int) -> str:
    """Write a time in UTC with three digits after the second."""
    moment = _EPOCH + ms * _MS
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def moment_ms(when: datetime | timedelta | float) -> int:
    """Read a moment: a time with its zone, or how long from here (a number is in seconds)."""
    match when:
        case datetime():
            if when.tzinfo is None:
                raise Malformed("a time without its zone: use datetime.now(timezone.utc)")
            return (when - _EPOCH) // _MS
        case timedelta():
            return now_ms() + when // _MS
        case _:
            return now_ms() + int(when * 1000)
