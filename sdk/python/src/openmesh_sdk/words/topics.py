"""Topic paths and patterns."""

import re

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire.limits import PATTERN_WILDCARDS_MAX, TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX

_LEVEL = re.compile(r"[A-Za-z0-9._~-]+")
_ONE, _REST = "*", "**"


def check_topic(path: str) -> str:
    """Check a topic path and return it."""
    for index, level in enumerate(_levels(path)):
        _check_level(level, index, path)
    return path


def check_pattern(pattern: str) -> str:
    """Check a topic pattern and return it: `*` is one level, `**` at the end one or more."""
    levels = _levels(pattern)
    for index, level in enumerate(levels):
        if level == _REST and index == len(levels) - 1:
            continue
        if level != _ONE:
            _check_level(level, index, pattern)
    if sum(level in (_ONE, _REST) for level in levels) > PATTERN_WILDCARDS_MAX:
        raise Malformed(f"`{pattern}` has more than {PATTERN_WILDCARDS_MAX} wildcards")
    return pattern


def matches(pattern: str, path: str) -> bool:
    """Tell whether a pattern takes in a path."""
    if path.startswith("$") and not pattern.startswith("$"):
        return False
    wanted, levels = pattern.split("/"), path.split("/")
    if wanted[-1] == _REST:
        wanted = wanted[:-1]
        if len(levels) <= len(wanted):
            return False
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(one in (_ONE, level) for one, level in zip(wanted, levels, strict=True))


def _levels(text: str) -> list[str]:
    levels = text.split("/")
    if len(text.encode()) > TOPIC_BYTES_MAX or len(levels) > TOPIC_LEVELS_MAX:
        raise Malformed(f"a topic has at most {TOPIC_LEVELS_MAX} levels and {TOPIC_BYTES_MAX} bytes")
    return levels


def _check_level(level: str, index: int, text: str) -> None:
    level = level.removeprefix("$") if index == 0 else level
    if not _LEVEL.fullmatch(level) or level in (".", ".."):
        raise Malformed(f"`{text[:64]}` is no topic: levels of A-Z a-z 0-9 . _ ~ - between slashes")
