"""Texts: addresses, topics, names of definitions, acts, times, strict JSON, steering attributes."""

import datetime
import json
import pathlib
import re
import uuid

from wire import Refused, b64, holds, need, sha256, unb64, undid, undomain

FOLDER = pathlib.Path(__file__).parent

# --- addresses, topics, names, acts, times -------------------------------------------------------------------------

LEVEL = r"[A-Za-z0-9._~-]+"


def check_size(text):
    need(len(text.encode()) <= 512 and text.count("/") < 16, "too long")


def check_level(level, index):
    level = level[1:] if index == 0 and level.startswith("$") else level
    need(re.fullmatch(LEVEL, level) and level not in (".", ".."), "no topic level")


def check_topic(text):
    check_size(text)
    for index, level in enumerate(text.split("/")):
        check_level(level, index)


def check_pattern(text):
    check_size(text)
    levels = text.split("/")
    for index, level in enumerate(levels):
        if level == "**":
            need(index == len(levels) - 1, "** is last")
        elif level != "*":
            check_level(level, index)
    need(sum(level in ("*", "**") for level in levels) <= 3, "too many wildcards")


def matches(pattern, path):
    if path.startswith("$") and not pattern.startswith("$"):
        return False
    expression = "/".join(
        ".+" if level == "**" else "[^/]+" if level == "*" else re.escape(level) for level in pattern.split("/")
    )
    return re.fullmatch(expression, path) is not None


def topics(vectors):
    for kind, check in (("paths", check_topic), ("patterns", check_pattern)):
        for case in vectors[kind]:
            assert holds(check, case["text"]) == case["good"], case
            yield
    for case in vectors["matches"]:
        assert matches(case["pattern"], case["path"]) == case["matches"], case
        yield


def check_agent_name(text):
    need(re.fullmatch(r"[a-z][a-z0-9._-]{0,63}", text), "no agent name")


def check_conversation(text):
    need(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text), "no conversation id")
    uuid.UUID(text)


def check_agent(text):
    undid(text) if text.startswith("did:") else check_agent_name(text)


KINDS = {"agent": check_agent, "inbox": check_agent, "topic": check_topic, "conversation": check_conversation}


def split_address(text):
    need(text.startswith("mesh://") and text.count("/") >= 3, "relative")
    domain, _, rest = text[7:].partition("/")
    need(holds(undomain, domain), "malformed")
    kind, slash, path = rest.partition("/")
    need(slash, "malformed")
    need(kind not in ("board", "group", "session", "cap"), "not built")
    need(kind in KINDS and holds(KINDS[kind], path), "malformed")
    return domain, kind, path


def expand(text, home):
    if text.startswith("mesh://"):
        return text
    kind, _, path = ("agent:" + text if text.startswith("did:") else text).partition(":")
    return f"mesh://{home}/{kind}/{path}"


def addresses(vectors):
    for case in vectors["good"]:
        assert split_address(case["text"]) == (case["domain"], case["kind"], case["path"]), case
        yield
    for case in vectors["expanded"]:
        assert expand(case["typed"], vectors["home"]) == case["text"], case
        yield
    for case in vectors["bad"]:
        try:
            split_address(case["text"])
            raise AssertionError(case)
        except Refused as why:
            assert str(why) == case["why"], (case, str(why))
        yield
    for kind, check in (("agent names", check_agent_name), ("conversation ids", check_conversation)):
        for case in vectors[kind]:
            assert holds(check, case["text"]) == case["good"], case
            yield


LABEL = r"[a-z](?:[a-z0-9-]{0,62}[a-z0-9])?"
NUMBER = r"(?:0|[1-9][0-9]*)"
VERSION = rf"{NUMBER}\.{NUMBER}\.{NUMBER}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"


def qualify(text, home):
    parts = text.split("/")
    need(len(parts) in (2, 3), "no name")
    if len(parts) == 2:
        parts = ["openmesh" if parts[0] in ("mesh", "fipa", "market") else home] + parts
    authority, namespace, name = parts
    need(authority == "openmesh" or holds(undomain, authority), "no authority")
    need(re.fullmatch(LABEL, namespace) and re.fullmatch(LABEL, name), "no name")
    return "/".join(parts)


def versioned(text, home):
    name, at, version = text.partition("@")
    need(at and re.fullmatch("v" + VERSION, version), "no version")
    return f"{qualify(name, home)}@{version}"


def numbers(version):
    return tuple(int(number) for number in re.match(r"v?(\d+)\.(\d+)\.(\d+)", version).groups())


def in_range(requirement, version):
    """Semantic version ranges as far as these vectors go: ^, ~, *, =, >=, <."""
    if "-" in version:
        return False
    found = numbers(version)
    for part in requirement.split(","):
        mark, *wanted = re.fullmatch(r"\s*(\^|~|>=|<|v|\*)(?:(\d+)(?:\.(\d+))?(?:\.(\d+))?)?", part).groups()
        if mark == "*":
            continue
        low = tuple(int(number or 0) for number in wanted)
        if mark == "^":
            given = [int(number) for number in wanted if number is not None]
            place = next((at for at, number in enumerate(given) if number), len(given) - 1)
            high = tuple(given[:place]) + (given[place] + 1,)
            fits = low <= found and found[: len(high)] < high
        elif mark == "~":
            fits = low <= found and found[:2] == low[:2]
        else:
            fits = found == low if mark == "v" else found >= low if mark == ">=" else found < low
        if not fits:
            return False
    return True


def names(vectors):
    home = vectors["home"]
    for case in vectors["good"]:
        assert versioned(case["text"], home) == case["qualified"], case
        short = case["qualified"].split("/", 1)[1]
        assert f"{short.split('@')[0]}.v{numbers(short.split('@')[1])[0]}" == case["type"], case
        yield
    for bad in vectors["bad"]:
        assert not holds(versioned, bad, home), bad
        yield
    for case in vectors["ranges"]:
        name, requirement = case["range"].split("@")
        other, version = case["name"].split("@")
        assert (name == other and in_range(requirement, version)) == case["contains"], case
        yield
    pin = vectors["pin"]
    digest = b64(sha256(pin["stored form"].encode()))
    assert pin["pinned"] == f"openmesh/market/rfp@v1.0.0#sha256-{digest}"
    assert pin["dataschema"] == f"mesh-schema:openmesh/market/rfp@v1.0.0?sha256={digest}"
    assert pin["protocol"] == f"mesh-protocol:openmesh/market/rfp@v1.0.0?sha256={digest}"
    yield


def performatives(vectors):
    known = {case["act"] for case in vectors["known"]}
    finals = {case["act"] for case in vectors["known"] if case["final reply"]}
    assert finals == {"inform", "failure", "refuse", "not-understood"}
    yield

    def check_act(text):
        need(text in known or (re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*", text) and len(text) <= 64))

    for case in vectors["others"]:
        assert holds(check_act, case["text"]) == case["good"], case
        yield


def milliseconds(text):
    form = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)"
    match = re.fullmatch(form, text)
    need(match, "no time")
    seconds, fraction, offset = match.groups()
    try:
        moment = datetime.datetime.fromisoformat(seconds + offset.replace("Z", "+00:00"))
    except ValueError as error:
        raise Refused(str(error)) from None
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (moment - epoch) // datetime.timedelta(seconds=1) * 1000 + int(((fraction or "") + "000")[:3])


def times(vectors):
    for case in vectors["good"]:
        assert milliseconds(case["text"]) == milliseconds(case["written"]) == case["ms"], case
        yield
    for bad in vectors["bad"]:
        assert not holds(milliseconds, bad), bad
        yield


# --- strict JSON --------------------------------------------------------------------------------------------------


class Strict(Refused):
    pass


def unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Strict("json.duplicate_key")
    return found


def in_bounds(text):
    value = float(text)
    if not abs(value) <= 2**53 - 1:
        raise Strict("json.number_out_of_range")
    return value


def whole_number(text):
    if abs(int(text)) > 2**53 - 1:
        raise Strict("json.number_out_of_range")
    return int(text)


def no_constant(_):
    raise Strict("json.malformed")


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def keys(value):
    if isinstance(value, dict):
        return len(value) + sum(map(keys, value.values()))
    return sum(map(keys, value)) if isinstance(value, list) else 0


def lone_surrogate(value):
    if isinstance(value, dict):
        return any(map(lone_surrogate, value)) or any(map(lone_surrogate, value.values()))
    if isinstance(value, list):
        return any(map(lone_surrogate, value))
    return isinstance(value, str) and any(0xD800 <= ord(c) < 0xE000 for c in value)


def strict_json_code(payload):
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return "json.not_utf8"
    try:
        value = json.loads(
            text,
            object_pairs_hook=unique,
            parse_float=in_bounds,
            parse_int=whole_number,
            parse_constant=no_constant,
        )
    except Strict as why:
        return str(why)
    except ValueError:
        return "json.malformed"
    if lone_surrogate(value):
        return "json.malformed"
    if depth(value) > 64:
        return "json.too_deep"
    return "json.too_many_keys" if keys(value) > 10_000 else None


def strict_json(vectors):
    for case in vectors["cases"]:
        assert strict_json_code(bytes.fromhex(case["bytes"])) == case["code"], case
        yield
    for count, code in ((10_000, None), (10_001, "json.too_many_keys")):
        payload = json.dumps({f"k{number}": 1 for number in range(count)}).encode()
        assert strict_json_code(payload) == code
        yield


# --- steering attributes ------------------------------------------------------------------------------------------

REQUIRED = ["specversion", "id", "source", "type", "time", "to", "performative"]
NOT_BUILT = {"route", "budget", "hopsmax", "delegation", "taint", "dataref", "sealed"}
UNDERSTOOD = set(REQUIRED) | set(
    """datacontenttype dataschema subject protocol conversationid inreplyto replyto replyby parents expirytime notbefore
    acklevel priority more invite critical stream""".split()
)


def pinned(scheme):
    def check(text):
        need(text.startswith(scheme) and "?sha256=" in text)
        name, digest = text[len(scheme) :].split("?sha256=", 1)
        need(name.count("/") == 2 and versioned(name, "openmesh") == name)
        unb64(digest)

    return check


def one_of(*values):
    return lambda text: need(text in values)


def list_check(item, most):
    def check(text):
        items = text.split(",")
        need(len(set(items)) == len(items) <= most)
        for one in items:
            item(one)

    return check


def invitation(text):
    need("=" in text)
    undid(text.split("=", 1)[1])


def act(text):
    known = {case["act"] for case in json.loads((FOLDER / "performatives.json").read_text())["known"]}
    need(text in known or re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*", text))


READERS = {
    "id": lambda text: need(len(text.encode()) <= 64),
    "source": undid,
    "time": milliseconds,
    "to": split_address,
    "performative": act,
    "protocol": pinned("mesh-protocol:"),
    "conversationid": check_conversation,
    "replyto": split_address,
    "replyby": milliseconds,
    "more": one_of("true", "false"),
    "parents": list_check(unb64, 32),
    "dataschema": pinned("mesh-schema:"),
    "expirytime": milliseconds,
    "notbefore": milliseconds,
    "acklevel": one_of("received", "edge", "durable"),
    "priority": one_of("critical", "urgent", "normal", "bulk"),
    "invite": list_check(invitation, 32),
}


def steering_code(attributes):
    if NOT_BUILT & set(attributes):
        return "attribute.unsupported"
    if attributes.get("specversion", "1.0") != "1.0":
        return "attribute.malformed"
    for name in attributes.get("critical", "to").split(","):
        if name not in UNDERSTOOD:
            return "attribute.unsupported"
        if "critical" in attributes and name not in attributes:
            return "attribute.malformed"
    if any(name not in attributes for name in REQUIRED):
        return "attribute.missing"
    for name, read in READERS.items():
        try:
            if name in attributes:
                read(attributes[name])
        except Refused as why:
            return "address.relative" if str(why) == "relative" else "attribute.malformed"
    if ("protocol" in attributes) != ("conversationid" in attributes):
        return "attribute.missing"
    schema = attributes.get("dataschema")
    if schema:
        name = schema.split("?")[0].split("/", 1)[1]
        if attributes["type"] != f"{name.split('@')[0]}.v{numbers(name.split('@')[1])[0]}":
            return "attribute.malformed"
    if "stream" in attributes and attributes["to"].split("/")[3] not in ("agent", "inbox"):
        return "attribute.malformed"
    return waiting_code(attributes)


def waiting_code(attributes):
    """Only mail waits, and not for longer than it is of use."""
    if "notbefore" not in attributes:
        return None
    kind = attributes["to"].split("/")[3]
    until = milliseconds(attributes["notbefore"])
    expires = attributes.get("expirytime")
    never = expires is not None and milliseconds(expires) <= until
    return "attribute.malformed" if "protocol" in attributes or kind not in ("agent", "inbox") or never else None


def steering(vectors):
    for case in vectors["cases"]:
        attributes = {**vectors["plain"], **case["changes"]}
        attributes = {name: value for name, value in attributes.items() if value is not None}
        assert steering_code(attributes) == case["code"], (case, steering_code(attributes))
        yield
