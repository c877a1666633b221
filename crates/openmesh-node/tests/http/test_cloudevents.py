"""PyPI's cloudevents and the node read each other's events, structured and binary; and a socket in text."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import pytest
import websockets
from cloudevents.core.bindings.http import HTTPMessage, from_http, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from node import Node


@pytest.fixture(scope="module")
def node():
    with Node("--pin", "news/**") as running:
        running.carol = running.token("carol", ["send", "read", "inbox"])
        yield running


def post(node: Node, target: str, message: HTTPMessage) -> dict:
    headers = {**message.headers, "Authorization": f"Bearer {node.carol}"}
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    request = urllib.request.Request(node.url + target, body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def event(data: object, **attributes: str) -> CloudEvent:
    context = {"type": "com.example.note", "source": "/example", "datacontenttype": "application/json"}
    return CloudEvent({**context, **attributes}, data)


def lease(node: Node) -> dict:
    leased = node.call("/v1/inbox:lease", node.carol, {"wait_ms": 5_000})["messages"][0]
    node.call("/v1/inbox:ack", node.carol, {"token": leased["token"]})
    return leased["event"]


@pytest.mark.parametrize("form", [to_structured, to_binary])
def test_the_node_reads_what_the_package_emits(node: Node, form) -> None:
    sent = event({"n": 1}, subject="ünï cödé 100%", id=f"m-{form.__name__}", source=source(node), to="inbox:carol")
    outcome = post(node, "/v1/messages", form(sent, JSONFormat()))
    assert outcome["outcome"] == "accepted"
    got = lease(node)
    assert got["data"] == {"n": 1}
    assert got["id"] == f"m-{form.__name__}"
    assert got["subject"] == "ünï cödé 100%"


def test_the_package_reads_what_the_node_emits(node: Node) -> None:
    node.call("/v1/messages", node.carol, {"to": "inbox:carol", "subject": "back", "data": {"n": [1, 2.5, "x"]}})
    got = lease(node)
    read = from_http(
        HTTPMessage({"content-type": "application/cloudevents+json"}, json.dumps(got).encode()), JSONFormat(), CloudEvent
    )
    assert read.get_data() == {"n": [1, 2.5, "x"]}
    assert read.get_attributes()["subject"] == "back"
    assert read.get_type() == "mesh/untyped.v1"


@pytest.mark.parametrize("form", [to_structured, to_binary])
def test_a_foreign_event_becomes_the_payload(node: Node, form) -> None:
    outcome = post(node, "/v1/topics/news%2Fforeign/events", form(event({"n": 2}, to="inbox:carol"), JSONFormat()))
    assert outcome["outcome"] == "accepted"
    assert [log["log"] for log in outcome["receipt"]["logs"]] == ["topic/news/foreign"]


def test_a_socket_speaks_cloudevents(node: Node) -> None:
    async def talk() -> dict[str, dict]:
        url = node.url.replace("http", "ws") + "/v1/socket?subscribe=news/**"
        headers = {"Authorization": f"Bearer {node.carol}"}
        async with websockets.connect(url, subprotocols=["cloudevents.json"], additional_headers=headers) as socket:
            await socket.send(json.dumps({"id": "w-1", "to": "topic:news/now", "data": {"n": 3}}))
            await socket.send(json.dumps({"id": "w-2", "to": "nowhere", "data": 1}))
            heard = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for _ in range(3)]
        return {one.get("inreplyto", one["id"]) + ":" + one["type"]: one for one in heard}

    heard = asyncio.run(talk())
    assert heard["w-1:mesh/untyped.v1"]["data"] == {"n": 3}
    assert heard["w-1:mesh/outcome.v1"]["data"]["outcome"] == "accepted"
    assert heard["w-2:mesh/outcome.v1"]["data"]["problem"]["code"] == "address.relative"


def test_a_socket_without_a_token_or_from_another_origin_is_refused(node: Node) -> None:
    async def status(**options: object) -> int:
        url = node.url.replace("http", "ws") + "/v1/socket"
        try:
            async with websockets.connect(url, subprotocols=["cloudevents.json"], **options):
                return 101
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    assert asyncio.run(status()) == 401
    assert asyncio.run(status(origin="http://evil.example")) == 403


def source(node: Node) -> str:
    """The id of the agent, as the directory has it."""
    headers = {"Authorization": f"Bearer {node.carol}"}
    request = urllib.request.Request(node.url + "/v1/agents/carol", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())["agent"]
