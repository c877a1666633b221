"""The lines of scenarios: who, verb, words, and `key=value` with JSON values."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openmesh_sdk.words.times import format_time, now_ms

_JSON_BEGINS = re.compile(r'[{\["\d-]|(true|false)(?=\s|$)')
_KEY = re.compile(r"([a-z/][a-z0-9_/-]*)=")
_VARIABLE = re.compile(r"\$([a-z][a-z0-9-]*)(?:\+(\d+)|\.([a-z]+))?")
Meaning = Callable[[str, str | None], str]


@dataclass
class Line:
    """One line, its variables replaced when it is its turn."""

    place: str
    who: str
    verb: str
    words: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def take(self, key: str, default: Any = None) -> Any:
        return self.values.pop(key, default)

    def word(self) -> str:
        return self.words.pop(0)

    def done(self) -> None:
        assert not self.words, f"{self.place}: words nobody reads: {self.words}"
        assert not self.values, f"{self.place}: keys nobody reads: {list(self.values)}"


def read(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a file, each with its place."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield f"{path.name}:{number}", line.strip()


def parse(place: str, text: str, meaning: Meaning) -> Line:
    """Reads a line; `meaning` says what a variable stands for."""
    who, verb, *rest = text.split(maxsplit=2)
    line = Line(place, who, verb)
    left = rest[0] if rest else ""
    while left := left.lstrip():
        if found := _KEY.match(left):
            value, left = _value(left[found.end() :], meaning)
            line.values[found[1]] = value
        else:
            word, _, left = left.partition(" ")
            line.words.append(word)
    return line


def _value(text: str, meaning: Meaning) -> tuple[Any, str]:
    if _JSON_BEGINS.match(text):
        value, end = json.JSONDecoder().raw_decode(text)
        return replace(value, meaning), text[end:]
    word, _, left = text.partition(" ")
    return replace(word, meaning), left


def replace(value: Any, meaning: Meaning) -> Any:
    """Replaces the variables in the texts of a value."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _meant(found, meaning), value)
    if isinstance(value, dict):
        return {key: replace(one, meaning) for key, one in value.items()}
    return [replace(one, meaning) for one in value] if isinstance(value, list) else value


def _meant(found: re.Match[str], meaning: Meaning) -> str:
    name, later, part = found.groups()
    if name == "now":
        return format_time(now_ms() + int(later or 0))
    return meaning(name, part)
