"""Bytes: keys and ids, messages, proofs, receipts, certificates, the handshake, frames."""

import base64
import hashlib
import io
import re

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAGIC = b"OpnMesh\x01"


class Refused(Exception):
    """What a reader says to bytes or texts that are not what they claim to be."""


def need(condition, why="refused"):
    if not condition:
        raise Refused(why)


def holds(check, *arguments):
    try:
        check(*arguments)
        return True
    except Refused:
        return False


# --- digests, base64url, base32, base58 ---------------------------------------------------------------------------


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def in_context(context, *parts):
    return sha256(context.encode(), b"\0", *parts)


def b64(digest):
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def unb64(text):
    need(re.fullmatch(r"[A-Za-z0-9_-]{43}", text), "no digest")
    digest = base64.urlsafe_b64decode(text + "=")
    need(b64(digest) == text, "unused bits are not zero")
    return digest


def base58(data):
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = alphabet[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def unbase58(text):
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = 0
    for character in text:
        need(character in alphabet, "no base58")
        number = number * 58 + alphabet.index(character)
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return b"\0" * (len(text) - len(text.lstrip("1"))) + body


# --- keys and ids -------------------------------------------------------------------------------------------------

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def point(key):
    """Decompresses a public key (RFC 8032, 5.1.3)."""
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    need((x * x - square) % P == 0, "no point of the curve")
    if x % 2 != key[31] >> 7:
        x = P - x
    return x, y


def double(p):
    x, y = p
    product = D * x * x * y * y % P
    return (2 * x * y) * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P


def check_key(key):
    need(len(key) == 32, "a key has 32 bytes")
    p = double(double(double(point(key))))
    need(p != (0, 1), "of small order")


def did(key):
    return "did:key:z" + base58(b"\xed\x01" + key)


def undid(text):
    need(text.startswith("did:key:z") and len(text) <= 73, "no did:key")
    data = unbase58(text[9:])
    need(data[:2] == b"\xed\x01" and len(data) == 34, "no Ed25519 key")
    check_key(data[2:])
    return data[2:]


def domain_text(digest):
    return "b" + base64.b32encode(digest).decode().rstrip("=").lower()


def undomain(text):
    need(re.fullmatch(r"b[a-z2-7]{52}", text), "no domain id")
    digest = base64.b32decode(text[1:].upper() + "====")
    need(domain_text(digest) == text, "unused bits are not zero")
    return digest


def verify(key, context, message, signature):
    need(len(signature) == 64, "a signature has 64 bytes")
    check_key(signature[:32])  # strict: neither the key nor R may be of small order
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, context.encode() + b"\0" + message)
    except InvalidSignature:
        raise Refused("the signature does not fit") from None


def identities(vectors):
    for agent in vectors["agents"]:
        seed = bytes.fromhex(agent["seed"])
        key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        assert key.hex() == agent["public key"]
        assert did(key) == agent["id"] and undid(agent["id"]) == key
        yield
    for bad in vectors["bad agents"]:
        assert not holds(undid, bad["text"]), bad
        yield
    for weak in vectors["weak keys"]:
        point(bytes.fromhex(weak["public key"]))
        assert not holds(check_key, bytes.fromhex(weak["public key"])), weak
        yield
    for domain in vectors["domains"]:
        root, following = bytes.fromhex(domain["root"]), bytes.fromhex(domain["next root"])
        commitment = in_context("openmesh next root key v1", following)
        assert commitment.hex() == domain["commitment"]["hex"] and b64(commitment) == domain["commitment"]["text"]
        assert cbor2.dumps([root, commitment]).hex() == domain["inception"]
        assert domain_id([root, commitment]) == undomain(domain["id"])
        yield
    for bad in vectors["bad domains"]:
        assert not holds(undomain, bad["text"]), bad
        yield


def domain_id(inception):
    root, commitment = inception
    return in_context("openmesh inception v1", root, commitment)


def check_certificate(certificate, domain, now):
    inception, node, not_before, not_after, signature = certificate
    need(domain_id(inception) == domain, "another domain's")
    check_key(node)
    signed = cbor2.dumps([1, inception, node, not_before, not_after])
    verify(inception[0], "openmesh node certificate v1", signed, signature)
    need(not_before <= now <= not_after, "not at this time")


def certificates(vectors):
    for case in vectors["cases"]:
        certificate = cbor2.loads(bytes.fromhex(case["certificate"]))
        found = holds(check_certificate, certificate, undomain(case["domain"]), case["now"])
        assert found == case["holds"], case["what"]
        yield


# --- messages -----------------------------------------------------------------------------------------------------

TRANSIT = {"proof", "hops", "hopsleft", "position", "receivedtime", "traceparent", "tracestate", "data"}


def check_attribute(name, value):
    need(isinstance(name, str) and isinstance(value, str), "text to text")
    need(re.fullmatch(r"[a-z0-9]{1,20}", name) and name not in TRANSIT, "no attribute name")
    need(value and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value), "no attribute value")


def encode_attributes(attributes):
    names = sorted(attributes, key=lambda name: (len(name), name.encode()))
    pairs = b"".join(cbor2.dumps(name) + cbor2.dumps(attributes[name]) for name in names)
    return head(5, len(names)) + pairs


def head(major, number):
    """The head of a CBOR item (RFC 8949, 3)."""
    if number < 24:
        return bytes([major << 5 | number])
    size = 1 if number < 1 << 8 else 2 if number < 1 << 16 else 4
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26}[size]]) + number.to_bytes(size, "big")


def canonical(attributes, payload):
    return b"\x82" + encode_attributes(attributes) + cbor2.dumps(sha256(payload))


def message_digest(attributes, payload):
    return in_context("openmesh message v1", canonical(attributes, payload))


def check_attributes(encoded):
    """Attributes must be encoded as this reader would encode them."""
    attributes = cbor2.loads(encoded)
    need(isinstance(attributes, dict), "no map")
    for name, value in attributes.items():
        check_attribute(name, value)
    need(encode_attributes(attributes) == encoded, "not canonical")


def canonical_bytes(vectors):
    for case in vectors["good"]:
        payload = bytes.fromhex(case["payload"])
        assert canonical(case["attributes"], payload).hex() == case["canonical"], case["what"]
        digest = message_digest(case["attributes"], payload)
        assert digest.hex() == case["digest"]["hex"] and b64(digest) == case["digest"]["text"], case["what"]
        assert unb64(case["digest"]["text"]) == digest
        check_attributes(encode_attributes(case["attributes"]))
        yield
    for case in vectors["bad"]:
        assert not holds(check_attributes, bytes.fromhex(case["attributes"])), case["what"]
        yield


def leaf(context, value):
    return sha256(b"\0", context.encode(), value)


def root(digest, index, path):
    for sibling in path:
        digest = sha256(b"\1", sibling, digest) if index & 1 else sha256(b"\1", digest, sibling)
        index >>= 1
    need(index == 0, "the index lies outside the tree")
    return digest


def check_proof(proof, signer, digest):
    kind, fields = proof
    need(fields[0] == signer, "another agent's key")
    if kind == 0:
        need(len(fields) == 2)
        return verify(signer, "openmesh proof v1", digest, fields[1])
    need(kind == 1 and len(fields) == 4, "no such proof")
    _, signature, index, path = fields
    need(len(path) <= 8, "the path is too long")
    signed = root(leaf("openmesh proof leaf v1", digest), index, path)
    return verify(signer, "openmesh proof root v1", signed, signature)


def proofs(vectors):
    for case in vectors["cases"]:
        proof = cbor2.loads(bytes.fromhex(case["proof"]))
        found = holds(check_proof, proof, undid(case["signer"]), bytes.fromhex(case["digest"]["hex"]))
        assert found == case["holds"], case["what"]
        yield


# --- receipts -----------------------------------------------------------------------------------------------------

LEVELS = {0: "received", 2: "durable"}


def check_receipt(signed, node):
    receipt, (signer, signature, index, path) = signed
    need(signer == node and len(path) <= 20)
    signed_root = root(leaf("openmesh receipt leaf v1", cbor2.dumps(receipt)), index, path)
    verify(node, "openmesh receipt root v1", signed_root, signature)


def opened(run):
    """The receipts of a run, each with the path of its own."""
    node, signature, first, height, edges, tagged = run
    need(height <= 20 and tagged)
    encoded = [cbor2.dumps(receipt) for _, receipt in tagged]
    known = {first + at: leaf("openmesh receipt leaf v1", one) for at, one in enumerate(encoded)}
    paths, edges = [[] for _ in tagged], list(edges)
    for level in range(height):
        if min(known) & 1:
            known[min(known) - 1] = edges.pop(0)
        if len(known) & 1:
            known[max(known) + 1] = edges.pop(0)
        for at, path in enumerate(paths):
            path.append(known[(first + at) >> level ^ 1])
        known = {at >> 1: sha256(b"\1", known[at], known[at + 1]) for at in known if at & 1 == 0}
    need(list(known) == [0] and not edges, "no such run")
    return [(tag, [receipt, [node, signature, first + at, paths[at]]]) for at, (tag, receipt) in enumerate(tagged)]


def receipts(vectors):
    node = undid(vectors["node"])
    for case in vectors["cases"]:
        signed = cbor2.loads(bytes.fromhex(case["signed receipt"]))
        digest, level, position, logs, duplicate, _, at = signed[0]
        assert digest.hex() == case["digest"]["hex"] and LEVELS[level] == case["level"], case["what"]
        assert (".".join(map(str, position)) if position else None) == case["position"], case["what"]
        assert [f"{log}:{seq}" for log, seq in logs] == case["logs"], case["what"]
        assert (duplicate, at) == (case["duplicate"], case["at"]), case["what"]
        assert holds(check_receipt, signed, node) == case["holds"], case["what"]
        yield


# --- handshake ----------------------------------------------------------------------------------------------------


def whole(encoded):
    stream = io.BytesIO(encoded)
    try:
        item = cbor2.load(stream)
    except Exception as error:
        raise Refused(str(error)) from None
    need(stream.tell() == len(encoded), "bytes follow")
    return item


def check_client_hello(encoded):
    versions, agent, keyid, nonce = whole(encoded)
    check_key(agent)
    need(1 in versions and agent == keyid and len(nonce) == 32)
    return agent


def server_transcript(client_hello, server_hello, exporter):
    length = len(client_hello).to_bytes(8, "big")
    return in_context("openmesh server hello v1", MAGIC, length, client_hello, server_hello, exporter)


def check_server_hello(client_hello, signed, pinned, now, exporter=b""):
    server_hello, signature = whole(signed)
    version, certificate, nonce, _, _ = whole(server_hello)
    need(version == 1 and len(nonce) == 32)
    check_certificate(certificate, pinned, now)
    transcript = server_transcript(client_hello, server_hello, exporter)
    verify(certificate[1], "openmesh server hello v1", transcript, signature)


def client_transcript(client_hello, signed, exporter):
    server_hello, signature = whole(signed)
    so_far = server_transcript(client_hello, server_hello, exporter)
    return in_context("openmesh client auth v1", so_far, signature, exporter or b"loopback")


def check_client_auth(client_hello, signed, auth, exporter=b""):
    (signature,) = whole(auth)
    transcript = client_transcript(client_hello, signed, exporter)
    verify(check_client_hello(client_hello), "openmesh client auth v1", transcript, signature)


def handshake(vectors):
    client_hello, signed, auth = (
        bytes.fromhex(vectors[name]) for name in ("client hello", "signed server hello", "client auth")
    )
    pinned, now = undomain(vectors["domain"]), vectors["now"]
    check_client_hello(client_hello)
    check_server_hello(client_hello, signed, pinned, now)
    check_client_auth(client_hello, signed, auth)
    assert whole(signed)[0].hex() == vectors["server hello"] and MAGIC.hex() == vectors["magic"]

    agent = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vectors["agent seed"]))
    own = agent.sign(b"openmesh client auth v1\0" + client_transcript(client_hello, signed, b""))
    assert cbor2.dumps([own]) == auth, "Ed25519 is deterministic: an agent's auth has one form"

    def framed(message):
        return len(message).to_bytes(4, "big") + message

    assert vectors["agent writes"] == [(MAGIC + framed(client_hello)).hex(), framed(auth).hex()]
    assert vectors["node writes"] == [framed(signed).hex()]
    yield
    for bad in vectors["bad client hellos"]:
        assert not holds(check_client_hello, bytes.fromhex(bad["client hello"])), bad["what"]
        yield
    for bad in vectors["bad answers"]:
        answered = bytes.fromhex(bad["signed server hello"])
        assert not holds(check_server_hello, client_hello, answered, pinned, now), bad["what"]
        yield
    for bad in vectors["bad auths"]:
        assert not holds(check_client_auth, client_hello, signed, bytes.fromhex(bad["client auth"])), bad["what"]
        yield
    yield from handshake_over_tls(vectors["over tls"], client_hello, agent, pinned, now)


def handshake_over_tls(vectors, client_hello, agent, pinned, now):
    exporter, signed, auth = (
        bytes.fromhex(vectors[name]) for name in ("exporter", "signed server hello", "client auth")
    )
    assert len(exporter) == 32
    assert (vectors["exporter label"], vectors["alpn"]) == ("EXPORTER-openmesh-handshake-v1", "openmesh/1")
    check_server_hello(client_hello, signed, pinned, now, exporter)
    check_client_auth(client_hello, signed, auth, exporter)
    own = agent.sign(b"openmesh client auth v1\0" + client_transcript(client_hello, signed, exporter))
    assert cbor2.dumps([own]) == auth
    yield
    for bad in vectors["bad answers"]:
        answered = bytes.fromhex(bad["signed server hello"])
        assert not holds(check_server_hello, client_hello, answered, pinned, now, exporter), bad["what"]
        yield
    for bad in vectors["bad auths"]:
        bad_auth = bytes.fromhex(bad["client auth"])
        assert not holds(check_client_auth, client_hello, signed, bad_auth, exporter), bad["what"]
        yield


# --- frames -------------------------------------------------------------------------------------------------------

NAMES = """id to type time source parents replyby replyto subject acklevel priority protocol inreplyto dataschema
expirytime specversion performative conversationid datacontenttype critical invite more sequence partitionkey ontology
tags idempotencykey causationid purpose dataclassification""".split()
REPEATING = set("to type source replyto acklevel priority protocol dataschema specversion performative datacontenttype".split())


class Connection:
    """Reads the frames of one direction."""

    def __init__(self):
        self.values = []

    def body(self, frame):
        length = int.from_bytes(frame[:4], "big")
        need(length <= 1 << 20 and length == len(frame) - 4, "no frame")
        return frame[4:]

    def items(self, body):
        # An attribute map may have a list as a value, never as a key; cbor2 reads it as a dict.
        need(body and body[0] >> 5 == 4 and body[0] & 31 != 31, "a frame is a list with its length")
        items = whole(body)
        need(isinstance(items, list) and items and isinstance(items[0], int), "no frame")
        return items

    def message(self, attributes, payload, proof, transit):
        need(isinstance(attributes, dict) and isinstance(payload, bytes))
        said = {}
        for key, value in attributes.items():
            need(isinstance(key, str) or 0 <= key < len(NAMES), "no such attribute")
            name = key if isinstance(key, str) else NAMES[key]
            said[name] = self.value(name, value)
            check_attribute(name, said[name])
        ordered = sorted(said, key=lambda name: (len(name), name))
        need(list(said) == ordered, "attributes stand in canonical order")
        return {
            "attributes": said,
            "payload": payload.hex(),
            "proof": None if proof is None else cbor2.dumps(proof).hex(),
            "transit": cbor2.dumps(transit).hex(),
        }

    def value(self, name, value):
        if isinstance(value, list):
            need(len(value) == 1 and name in REPEATING and len(value[0].encode()) <= 256, "not interned")
            need(len(self.values) < 1024, "the table is full")
            self.values.append(value[0])
            return value[0]
        if isinstance(value, int):
            need(value < len(self.values), "never defined")
            return self.values[value]
        return value


def list_of(items, most=1024):
    need(isinstance(items, list) and len(items) <= most, "no list, or too long")
    return items


def client_frame(connection, body):
    kind, *rest = connection.items(body)
    if (kind, len(rest)) == (0, 1):
        sends = list_of(rest[0])
        return {"send": [{"tag": tag, "message": connection.message(*message)} for tag, *message in sends]}
    if (kind, len(rest)) == (1, 2):
        tag, (number, _) = rest
        return {"command": {"tag": tag, "number": number}}
    if (kind, len(rest)) == (3, 1):
        return {"stream": [of_stream(ACTS, *one) for one in list_of(rest[0])]}
    need((kind, len(rest)) == (2, 1), "no such frame")
    return {"ping": rest[0]}


# Acts and events of streams, by number: name and fields.
ACTS = [line.split() for line in '''write stream id from
read stream sender id from window
item stream run offset item
credit stream consumed
fin stream run offset
done stream
reset stream reason'''.splitlines()]
EVENTS = [line.split() for line in '''go stream run from consumed window
refused stream problem
item stream offset item
credit stream consumed
fin stream offset
done stream
reset stream problem'''.splitlines()]


def of_stream(kinds, kind, fields):
    need(kind < len(kinds), "nothing of that number is said of a stream")
    name, *names = kinds[kind]
    need(len(fields) == len(names), "it has other fields")
    shown = {"problem": problem, "item": bytes.hex, "sender": bytes.hex}
    return {name: {field: shown.get(field, lambda one: one)(one) for field, one in zip(names, fields)}}


def problem(fields):
    code, detail, pointer, state, following, retry = fields + [None] * (6 - len(fields))
    said = {"code": code, "detail": detail, "pointer": pointer, "state": state, "retry_after_ms": retry}
    said = {key: value for key, value in said.items() if value is not None}
    names = ("performative", "schema", "instance")
    if following:
        said["allowed_next"] = [
            {key: value for key, value in zip(names, one) if value is not None} for one in following
        ]
    return said


def outcome(tag, item):
    kind, fields = item
    if kind == 0:
        return {"tag": tag, "accepted": cbor2.dumps(fields[0]).hex()}
    if kind == 1:
        return {"tag": tag, "rejected": problem(fields[0])}
    return {"tag": tag, {2: "unknown", 3: "passed"}[kind]: True}


def delivery(connection, kind, subscription, *rest):
    if (kind, len(rest)) == (0, 5):
        number, *message = rest
        return {"subscription": subscription, "number": number, "message": connection.message(*message)}
    need((kind, len(rest)) == (1, 2), "no such delivery")
    return {"subscription": subscription, "gap": list(rest)}


def server_frame(connection, body):
    kind, *rest = connection.items(body)
    if (kind, len(rest)) == (0, 1):
        return {"outcomes": [outcome(tag, item) for tag, item in list_of(rest[0])]}
    if (kind, len(rest)) == (1, 2):
        tag, (failed, answer) = rest
        if failed:
            return {"reply": {"tag": tag, "problem": problem(answer)}}
        return {"reply": {"tag": tag, "number": answer[0]}}
    if (kind, len(rest)) == (2, 1):
        return {"deliver": [delivery(connection, *one) for one in list_of(rest[0])]}
    if (kind, len(rest)) == (3, 1):
        return {"pong": rest[0]}
    if (kind, len(rest)) == (5, 1):
        return {"receipts": [outcome(tag, (0, [signed])) for tag, signed in opened(rest[0])]}
    if (kind, len(rest)) == (6, 1):
        return {"stream": [of_stream(EVENTS, *one) for one in list_of(rest[0])]}
    if (kind, len(rest)) == (7, 2):
        return {"passed": rest}
    need((kind, len(rest)) == (4, 1), "no such frame")
    return {"goodbye": rest[0][0]}


def frames(vectors):
    for side, read in (("client", client_frame), ("server", server_frame)):
        connection = Connection()
        for frame in vectors[side]:
            said = read(connection, connection.body(bytes.fromhex(frame["bytes"])))
            assert said == frame["frame"], said
            yield
        for bad in vectors["bad " + side]:
            assert not holds(read, Connection(), bytes.fromhex(bad["body"])), bad["what"]
            yield
    for length in vectors["bad lengths"]:
        assert int.from_bytes(bytes.fromhex(length), "big") > 1 << 20
        yield
