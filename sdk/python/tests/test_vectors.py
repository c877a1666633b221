"""Every file of `spec/vectors`, checked with this package."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from openmesh_sdk import Digest, DomainId, Identity, Malformed, canonical_json
from openmesh_sdk.errors import HandshakeFailed
from openmesh_sdk.problem import Problem
from openmesh_sdk.strict_json import JsonRefused, parse_strict
from openmesh_sdk.wire import ed25519, frames, handshake, streams
from openmesh_sdk.wire.attributes import canonical_bytes, encode_attributes, message_digest, read_attributes
from openmesh_sdk.wire.cbor import decode, encode
from openmesh_sdk.wire.certificate import Certificate, commitment_to
from openmesh_sdk.wire.digest import hash_in, sha256
from openmesh_sdk.wire.proof import Proof
from openmesh_sdk.wire.receipt import Receipt
from openmesh_sdk.wire.steering import AttributeRefused, check_steering
from openmesh_sdk.words.addresses import (
    Address,
    AddressNotBuilt,
    RelativeAddress,
    check_agent_name,
    check_conversation_id,
)
from openmesh_sdk.words.ids import AgentId
from openmesh_sdk.words.names import PinnedName, VersionedName
from openmesh_sdk.words.performatives import FINAL_REPLIES, KNOWN, check_performative
from openmesh_sdk.words.times import format_time, parse_time
from openmesh_sdk.words.topics import check_pattern, check_topic, matches

FOLDER = Path(__file__).parents[3] / "spec" / "vectors"
HELLO_LENGTH_BYTES = 4

Vectors = dict[str, Any]
CHECKS: dict[str, Callable[[Vectors], Iterator[None]]] = {}


def check(function: Callable[[Vectors], Iterator[None]]) -> Callable[[Vectors], Iterator[None]]:
    CHECKS[function.__name__.replace("_", "-")] = function
    return function


def holds(reader: Callable[..., object], *arguments: object) -> bool:
    try:
        reader(*arguments)
    except (Malformed, HandshakeFailed):
        return False
    return True


@check
def addresses(vectors: Vectors) -> Iterator[None]:
    home = DomainId(vectors["home"])
    for case in vectors["good"]:
        address = Address.parse(case["text"])
        assert (address.domain, address.kind, address.path) == (case["domain"], case["kind"], case["path"])
        assert str(address) == case["text"]
        yield
    for case in vectors["expanded"]:
        assert str(Address.expand(case["typed"], home)) == case["text"]
        yield
    for case in vectors["bad"]:
        with pytest.raises(Malformed) as refused:
            Address.parse(case["text"])
        why = {RelativeAddress: "relative", AddressNotBuilt: "not built"}.get(refused.type, "malformed")
        assert why == case["why"], case
        yield
    for kind, checked in (("agent names", check_agent_name), ("conversation ids", check_conversation_id)):
        for case in vectors[kind]:
            assert holds(checked, case["text"]) == case["good"], case
            yield


@check
def attributes(vectors: Vectors) -> Iterator[None]:
    for case in vectors["cases"]:
        changed = {**vectors["plain"], **case["changes"]}
        changed = {name: value for name, value in changed.items() if value is not None}
        code = None
        try:
            check_steering(changed)
        except AttributeRefused as refused:
            code = refused.code
        assert code == case["code"], case
        yield


@check
def canonical(vectors: Vectors) -> Iterator[None]:
    for case in vectors["good"]:
        payload = bytes.fromhex(case["payload"])
        assert canonical_bytes(case["attributes"], payload).hex() == case["canonical"], case["what"]
        digest = message_digest(case["attributes"], payload)
        assert (digest, digest.raw.hex()) == (case["digest"]["text"], case["digest"]["hex"])
        assert Digest(digest) == digest
        yield
    for case in vectors["bad"]:
        assert not holds(read_encoded, bytes.fromhex(case["attributes"])), case["what"]
        yield


def read_encoded(encoded: bytes) -> None:
    """A reader hashes its own encoding of what it read, so another encoding is another message."""
    if encode_attributes(read_attributes(decode(encoded))) != encoded:
        raise Malformed("not deterministic")


@check
def certificates(vectors: Vectors) -> Iterator[None]:
    for case in vectors["cases"]:
        certificate = Certificate.of_item(decode(bytes.fromhex(case["certificate"])))
        assert holds(certificate.check, case["domain"], case["now"]) == case["holds"], case["what"]
        yield


def shown_message(message: Any) -> dict[str, Any]:
    proof = message.proof
    return {
        "attributes": dict(message.attributes),
        "payload": message.payload.hex(),
        "proof": None if proof is None else encode(proof.to_item()).hex(),
        "transit": encode(transit_item(message.transit)).hex(),
    }


def transit_item(transit: Any) -> Any:
    """A node's form, which this package never writes elsewhere."""
    position = transit.position
    place = None if position is None else [position.partition, position.epoch, position.seq]
    items = [place, [list(pair) for pair in transit.logs], transit.received_ms]
    items += [transit.traceparent, transit.tracestate]
    while items[-1] is None:
        items.pop()
    return items


def shown_problem(problem: Problem) -> dict[str, Any]:
    said = {name: getattr(problem, name) for name in ("code", "detail", "pointer", "state", "retry_after_ms")}
    said = {name: value for name, value in said.items() if value is not None}
    names = ("performative", "schema", "instance")
    if problem.allowed_next:
        rows = [[(name, getattr(one, name)) for name in names] for one in problem.allowed_next]
        said["allowed_next"] = [{name: value for name, value in row if value is not None} for row in rows]
    return said


def shown_outcome(tag: int, outcome: frames.Outcome, frame: dict[str, Any]) -> dict[str, Any]:
    match outcome:
        case frames.Accepted(receipt):
            written = frame["accepted"]
            assert Receipt.of_item(decode(bytes.fromhex(written))) == receipt
            return {"tag": tag, "accepted": written}
        case frames.Refused(problem):
            return {"tag": tag, "rejected": shown_problem(problem)}
        case frames.Unknown():
            return {"tag": tag, "unknown": True}
        case _:
            return {"tag": tag, "passed": True}


def shown_delivery(delivery: frames.Delivered | frames.Missed) -> dict[str, Any]:
    if isinstance(delivery, frames.Missed):
        return {"subscription": delivery.subscription, "gap": [delivery.first, delivery.last]}
    message = shown_message(delivery.message)
    return {"subscription": delivery.subscription, "number": delivery.number, "message": message}


def shown_outcomes(outcomes: Sequence[tuple[int, frames.Outcome]], expected: dict[str, Any]) -> dict[str, Any]:
    if "passed" in expected:
        tags = [tag for tag, outcome in outcomes if isinstance(outcome, frames.Passed)]
        assert tags == list(range(tags[0], tags[0] + len(outcomes)))
        return {"passed": [tags[0], len(tags)]}
    kind = "receipts" if "receipts" in expected else "outcomes"
    pairs = zip(outcomes, expected[kind], strict=True)
    return {kind: [shown_outcome(tag, one, wanted) for (tag, one), wanted in pairs]}


def shown_server(frame: frames.ServerFrame, expected: dict[str, Any]) -> dict[str, Any]:
    match frame:
        case frames.Outcomes(outcomes):
            return shown_outcomes(outcomes, expected)
        case frames.Replied(tag, Problem() as problem):
            return {"reply": {"tag": tag, "problem": shown_problem(problem)}}
        case frames.Replied(tag, frames.Reply(number=number)):
            return {"reply": {"tag": tag, "number": number}}
        case frames.Deliver(deliveries):
            return {"deliver": [shown_delivery(one) for one in deliveries]}
        case frames.Pong(number):
            return {"pong": number}
        case frames.Farewell(problem):
            return {"goodbye": problem.code}
    raise AssertionError(frame)


def shown_of_streams(frame: frames.ServerFrame, expected: dict[str, Any]) -> dict[str, Any]:
    if isinstance(frame, frames.StreamEvents):
        return {"stream": [shown_event(one) for one in frame.events]}
    return shown_server(frame, expected)


EVENTS = {
    "go": "stream run from consumed window",
    "refused": "stream problem",
    "item": "stream offset item",
    "credit": "stream consumed",
    "fin": "stream offset",
    "done": "stream",
    "reset": "stream problem",
}
ACTS = {
    "write": "stream id from",
    "read": "stream sender id from window",
    "item": "stream run offset item",
    "credit": "stream consumed",
    "fin": "stream run offset",
    "done": "stream",
    "reset": "stream reason",
}


def shown_value(value: Any) -> Any:
    if isinstance(value, Problem):
        return shown_problem(value)
    return value.hex() if isinstance(value, bytes) else value


def shown_event(event: streams.StreamEvent) -> dict[str, Any]:
    kinds = (streams.Go, streams.NoEnd, streams.Item, streams.Credit, streams.Fin, streams.Done, streams.Reset)
    name, fields = list(EVENTS.items())[kinds.index(type(event))]
    values = (shown_value(getattr(event, field.name)) for field in dataclasses.fields(event))
    return {name: dict(zip(fields.split(), values, strict=True))}


def shown_act(act: streams.StreamAct) -> dict[str, Any]:
    name, fields = list(ACTS.items())[act.number]
    return {name: dict(zip(fields.split(), map(shown_value, act.fields), strict=True))}


def shown_client(frame: frames.ClientFrame) -> dict[str, Any]:
    match frame:
        case frames.Send(messages):
            return {"send": [{"tag": tag, "message": shown_message(one)} for tag, one in messages]}
        case frames.Ask(tag, command):
            return {"command": {"tag": tag, "number": command.number}}
        case frames.Ping(number):
            return {"ping": number}
        case frames.StreamActs(acts):
            return {"stream": [shown_act(one) for one in acts]}


@check
def frames_(vectors: Vectors) -> Iterator[None]:
    decoder, encoder = frames.FrameDecoder(), frames.FrameEncoder()
    for case in vectors["client"]:
        encoded = bytes.fromhex(case["bytes"])
        frame = decoder.decode_client(encoded[frames.HEADER_BYTES :])
        assert shown_client(frame) == case["frame"]
        if isinstance(frame, frames.Send | frames.StreamActs):
            assert encoder.encode(frame) == encoded, "interning has one form here"
        yield
    decoder = frames.FrameDecoder()
    for case in vectors["server"]:
        encoded = bytes.fromhex(case["bytes"])
        assert frames.body_length(encoded[: frames.HEADER_BYTES]) == len(encoded) - frames.HEADER_BYTES
        read = decoder.decode(encoded[frames.HEADER_BYTES :])
        assert shown_of_streams(read, case["frame"]) == case["frame"]
        yield
    for case in vectors["bad client"]:
        assert not holds(frames.FrameDecoder().decode_client, bytes.fromhex(case["body"])), case["what"]
        yield
    for case in vectors["bad server"]:
        assert not holds(frames.FrameDecoder().decode, bytes.fromhex(case["body"])), case["what"]
        yield
    for length in vectors["bad lengths"]:
        assert not holds(frames.body_length, bytes.fromhex(length))
        yield


CHECKS["frames"] = CHECKS.pop("frames-")


@check
def handshake_(vectors: Vectors) -> Iterator[None]:
    said, signed, auth = (
        bytes.fromhex(vectors[name]) for name in ("client hello", "signed server hello", "client auth")
    )
    domain, now = vectors["domain"], vectors["now"]
    answer = handshake.SignedServerHello.read(signed)
    agent = Identity(bytes.fromhex(vectors["agent seed"]))
    handshake.check_server(domain, said, answer, handshake.PLAINTEXT, now)
    assert agent.prove(said, answer, handshake.PLAINTEXT) == auth
    assert handshake.client_hello(agent.id, said[-handshake.NONCE_BYTES :]) == said
    assert handshake.check_client(said, answer, auth, handshake.PLAINTEXT) == agent.id
    assert vectors["magic"] == handshake.MAGIC.hex()
    framed = [len(one).to_bytes(HELLO_LENGTH_BYTES, "big") + one for one in (said, auth)]
    assert vectors["agent writes"] == [(handshake.MAGIC + framed[0]).hex(), framed[1].hex()]
    yield
    for bad in vectors["bad client hellos"]:
        assert not holds(handshake.check_client_hello, bytes.fromhex(bad["client hello"])), bad["what"]
        yield
    for bad in vectors["bad answers"]:
        answered = bytes.fromhex(bad["signed server hello"])
        assert not holds(check_answer, domain, said, answered, handshake.PLAINTEXT, now), bad["what"]
        yield
    for bad in vectors["bad auths"]:
        given = bytes.fromhex(bad["client auth"])
        binding = handshake.PLAINTEXT
        assert not holds(handshake.check_client, said, answer, given, binding), bad["what"]
        yield
    yield from handshake_over_tls(vectors["over tls"], vectors)


CHECKS["handshake"] = CHECKS.pop("handshake-")


def check_answer(domain: str, said: bytes, answered: bytes, exporter: bytes, now: int) -> None:
    handshake.check_server(domain, said, handshake.SignedServerHello.read(answered), exporter, now)


def handshake_over_tls(vectors: Vectors, whole: Vectors) -> Iterator[None]:
    domain, now, said = whole["domain"], whole["now"], bytes.fromhex(whole["client hello"])
    exporter, signed, auth = (
        bytes.fromhex(vectors[name]) for name in ("exporter", "signed server hello", "client auth")
    )
    answer = handshake.SignedServerHello.read(signed)
    agent = Identity(bytes.fromhex(whole["agent seed"]))
    assert len(exporter) == handshake.EXPORTER_BYTES
    assert vectors["exporter label"].encode() == handshake.EXPORTER_LABEL
    assert vectors["alpn"].encode() == handshake.ALPN
    handshake.check_server(domain, said, answer, exporter, now)
    assert agent.prove(said, answer, exporter) == auth
    assert handshake.check_client(said, answer, auth, exporter) == agent.id
    yield
    for bad in vectors["bad answers"]:
        answered = bytes.fromhex(bad["signed server hello"])
        assert not holds(check_answer, domain, said, answered, exporter, now), bad["what"]
        yield
    for bad in vectors["bad auths"]:
        given = bytes.fromhex(bad["client auth"])
        assert not holds(handshake.check_client, said, answer, given, exporter), bad["what"]
        yield


@check
def identities(vectors: Vectors) -> Iterator[None]:
    for agent in vectors["agents"]:
        identity = Identity(bytes.fromhex(agent["seed"]))
        assert (identity.id, identity.id.public_key.hex()) == (agent["id"], agent["public key"])
        assert AgentId(agent["id"]) == identity.id
        yield
    for bad in vectors["bad agents"]:
        assert not holds(AgentId, bad["text"]), bad
        yield
    for weak in vectors["weak keys"]:
        assert not ed25519.is_usable(bytes.fromhex(weak["public key"])), weak
        yield
    for domain in vectors["domains"]:
        root, following = bytes.fromhex(domain["root"]), bytes.fromhex(domain["next root"])
        commitment = commitment_to(following)
        assert (commitment.hex(), Digest.of_bytes(commitment)) == tuple(domain["commitment"].values())
        assert encode([root, commitment]).hex() == domain["inception"]
        found = DomainId.of_bytes(hash_in("openmesh inception v1", root, commitment))
        assert found == domain["id"]
        assert DomainId(domain["id"]).raw == found.raw
        yield
    for bad in vectors["bad domains"]:
        assert not holds(DomainId, bad["text"]), bad
        yield


@check
def names(vectors: Vectors) -> Iterator[None]:
    home = vectors["home"]
    for case in vectors["good"]:
        name = VersionedName.parse(case["text"], home)
        assert (str(name), name.type) == (case["qualified"], case["type"])
        yield
    for bad in vectors["bad"]:
        assert not holds(VersionedName.parse, bad, home), bad
        yield
    pin = vectors["pin"]
    pinned = PinnedName.parse(pin["pinned"])
    assert pinned.digest == Digest.of_bytes(sha256(pin["stored form"].encode()))
    assert (pinned.schema_uri, pinned.protocol_uri) == (pin["dataschema"], pin["protocol"])
    assert PinnedName.parse_schema_uri(pin["dataschema"]) == pinned
    assert PinnedName.parse_protocol_uri(pin["protocol"]) == pinned
    # Ranges are resolved by nodes alone; this package hands them over as they are.
    assert vectors["ranges"]
    yield


@check
def performatives(vectors: Vectors) -> Iterator[None]:
    assert {case["act"] for case in vectors["known"]} == KNOWN
    assert {case["act"] for case in vectors["known"] if case["final reply"]} == FINAL_REPLIES
    yield
    for case in vectors["others"]:
        assert holds(check_performative, case["text"]) == case["good"], case
        yield


@check
def proofs(vectors: Vectors) -> Iterator[None]:
    for case in vectors["cases"]:
        digest = Digest(case["digest"]["text"])
        assert proof_holds(bytes.fromhex(case["proof"]), case["signer"], digest) == case["holds"], case["what"]
        yield


def proof_holds(encoded: bytes, signer: str, digest: Digest) -> bool:
    try:
        return Proof.of_item(decode(encoded)).verifies(signer, digest)
    except Malformed:
        return False


@check
def receipts(vectors: Vectors) -> Iterator[None]:
    node = vectors["node"]
    for case in vectors["cases"]:
        item = decode(bytes.fromhex(case["signed receipt"]))
        try:
            receipt = Receipt.of_item(item)
        except Malformed:
            assert not case["holds"], case["what"]
            yield
            continue
        position = None if receipt.position is None else str(receipt.position)
        assert (receipt.digest, receipt.level, position) == (
            case["digest"]["text"],
            case["level"],
            case["position"],
        )
        assert [f"{log}:{seq}" for log, seq in receipt.logs] == case["logs"]
        assert (receipt.duplicate, receipt.at_ms) == (case["duplicate"], case["at"])
        assert receipt.verifies(node) == case["holds"], case["what"]
        yield


@check
def strict_json(vectors: Vectors) -> Iterator[None]:
    cases = [(bytes.fromhex(case["bytes"]), case["code"]) for case in vectors["cases"]]
    for count, code in ((10_000, None), (10_001, "json.too_many_keys")):
        cases.append((json.dumps({f"k{number}": 1 for number in range(count)}).encode(), code))
    for payload, expected in cases:
        code = None
        try:
            parse_strict(payload)
        except JsonRefused as refused:
            code = refused.code
        assert code == expected, payload[:80]
        yield


@check
def times(vectors: Vectors) -> Iterator[None]:
    for case in vectors["good"]:
        assert parse_time(case["text"]) == parse_time(case["written"]) == case["ms"], case
        assert format_time(case["ms"]) == case["written"]
        yield
    for bad in vectors["bad"]:
        assert not holds(parse_time, bad), bad
        yield


@check
def topics(vectors: Vectors) -> Iterator[None]:
    for kind, checked in (("paths", check_topic), ("patterns", check_pattern)):
        for case in vectors[kind]:
            assert holds(checked, case["text"]) == case["good"], case
            yield
    for case in vectors["matches"]:
        assert matches(case["pattern"], case["path"]) == case["matches"], case
        yield


def test_every_file_has_its_check() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CHECKS)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_agrees_with(name: str) -> None:
    vectors = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert sum(1 for _ in CHECKS[name](vectors)) > 0


def test_payloads_are_canonical() -> None:
    value = {"b": 1.0, "a": [True, None, "é", 1e-7, 0.000001, 1.5e-10, 333333333.33333329, -0.0, 4.5]}
    expected = '{"a":[true,null,"é",1e-7,0.000001,1.5e-10,333333333.3333333,0,4.5],"b":1}'
    assert canonical_json(value).decode() == expected
    assert canonical_json({"\U0001f600": 1, "\ufb33": 2, "a\n": '\u2028"\\\x7f\x1f'}).decode() == (
        '{"a\\n":"\u2028\\"\\\\\x7f\\u001f","\U0001f600":1,"\ufb33":2}'
    )
