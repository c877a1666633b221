"""JSON of the mesh: RFC 8785 out, strict in."""

import json
import math
from collections.abc import Mapping
from typing import Any

from openmesh_sdk.errors import Malformed, TooLarge
from openmesh_sdk.wire.limits import JSON_DEPTH_MAX, JSON_KEYS_MAX, JSON_NUMBER_MAX

_EXPONENT_MIN, _EXPONENT_MAX = -7, 21


class JsonRefused(Malformed):
    """A payload that nodes refuse, with the code they do so with."""

    def __init__(self, code: str) -> None:
        super().__init__(f"{code}: see `spec/problems.md`")
        self.code = code


def canonical_json(value: object) -> bytes:
    """Write a value as RFC 8785 JSON: dicts with text keys, lists, texts, numbers, true, false, None."""
    out: list[str] = []
    _write(value, out, 0)
    return "".join(out).encode()


def parse_strict(payload: bytes) -> Any:  # noqa: ANN401
    """Read JSON as nodes do: UTF-8, no key twice, no number beyond ±(2^53 - 1), bounded in depth and keys."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise JsonRefused("json.not_utf8") from None
    keys = _Keys()
    try:
        value = json.loads(
            text,
            object_pairs_hook=keys.unique,
            parse_float=_number,
            parse_int=_whole_number,
            parse_constant=_no_constant,
        )
    except JsonRefused:
        raise
    except RecursionError:
        raise JsonRefused("json.too_deep") from None
    except ValueError:
        raise JsonRefused("json.malformed") from None
    _check_texts_and_depth(value, 0)
    if keys.count > JSON_KEYS_MAX:
        raise JsonRefused("json.too_many_keys")
    return value


class _Keys:
    def __init__(self) -> None:
        self.count = 0

    def unique(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise JsonRefused("json.duplicate_key")
        self.count += len(pairs)
        return found


def _number(text: str) -> float:
    value = float(text)
    if not abs(value) <= JSON_NUMBER_MAX:
        raise JsonRefused("json.number_out_of_range")
    return value


def _whole_number(text: str) -> int:
    if len(text) > len(str(JSON_NUMBER_MAX)) + 1 or abs(int(text)) > JSON_NUMBER_MAX:
        raise JsonRefused("json.number_out_of_range")
    return int(text)


def _no_constant(_: str) -> None:
    raise JsonRefused("json.malformed")


def _check_texts_and_depth(value: object, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
        return
    if not isinstance(value, dict | list):
        return
    if depth == JSON_DEPTH_MAX:
        raise JsonRefused("json.too_deep")
    if isinstance(value, dict):
        for key in value:
            _check_text(key)
    for one in value.values() if isinstance(value, dict) else value:
        _check_texts_and_depth(one, depth + 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise JsonRefused("json.malformed") from None


def _write(value: object, out: list[str], depth: int) -> None:
    match value:
        case None:
            out.append("null")
        case bool():
            out.append("true" if value else "false")
        case str():
            _check_text(value)
            out.append(json.dumps(value, ensure_ascii=False))
        case int() | float():
            out.append(_number_text(value))
        case Mapping() | list() | tuple():
            if depth == JSON_DEPTH_MAX:
                raise TooLarge(f"the value is nested deeper than {JSON_DEPTH_MAX} levels")
            _write_many(value, out, depth)
        case _:
            raise Malformed(f"a {type(value).__name__} has no form in JSON: send a dict, list, text or number")


def _write_many(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], out: list[str], depth: int) -> None:
    if not isinstance(value, Mapping):
        out.append("[")
        for index, one in enumerate(value):
            if index:
                out.append(",")
            _write(one, out, depth + 1)
        out.append("]")
        return
    if not all(isinstance(key, str) for key in value):
        raise Malformed("keys of JSON objects are texts")
    out.append("{")
    # RFC 8785 sorts by UTF-16 code units.
    for index, key in enumerate(sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))):
        if index:
            out.append(",")
        _write(key, out, depth)
        out.append(":")
        _write(value[key], out, depth + 1)
    out.append("}")


def _number_text(value: float) -> str:
    """Write a number as ECMAScript does."""
    if not math.isfinite(value) or abs(value) > JSON_NUMBER_MAX:
        raise Malformed(f"{value} is not finite or beyond ±(2^53 - 1): send it as text")
    if value == int(value):
        return str(int(value))
    sign, value = ("-", -value) if value < 0 else ("", value)
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    zeros = len(whole + fraction) - len(digits)
    point = len(whole) - zeros + int(exponent or 0)
    digits = digits.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """Put the decimal point after so many digits (ECMA-262, Number::toString)."""
    if _EXPONENT_MIN < point - 1 < 0 or point == 0:
        return "0." + "0" * -point + digits
    if 0 < point <= _EXPONENT_MAX:
        return digits[:point] + "." + digits[point:]
    exponent = point - 1
    rest = "." + digits[1:] if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
