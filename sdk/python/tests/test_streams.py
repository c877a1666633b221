"""Streams between agents over a real node, on every transport; connections cut at random, a node that is killed."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import urlsplit

import pytest
from conftest import StartNode
from node import REPOSITORY, Node

from openmesh_sdk import Identity, Malformed, Mesh, Message, Rejected, StreamReset, StreamTaken, StreamWriter, TooLarge

EXAMPLE = REPOSITORY / "examples" / "token-stream"
CUTS = int(os.environ.get("OPENMESH_STREAM_CUTS", "20"))
WAIT_S = 60.0


async def offer_of(reader: Mesh) -> Message:
    async for message in (await reader.incoming()).messages():
        return message
    raise AssertionError("nothing came")


async def write_all(writer: StreamWriter, items: list[bytes]) -> None:
    for item in items:
        await writer.send(item)
    await writer.finish()


async def test_items_come_in_order_and_the_stream_ends_once(start_node: StartNode) -> None:
    node = await start_node()
    writer, reader = await node.agent("writer"), await node.agent("reader")
    async with writer, reader, asyncio.timeout(WAIT_S):
        written = await writer.open_stream("agent:reader", "numbers")
        offer = await offer_of(reader)
        assert (offer.text, offer.attributes["stream"]) == ("numbers", "text/plain")
        items = [bytes([number % 256]) * (number * 37 % 2_000) for number in range(500)]
        writing = asyncio.create_task(write_all(written, items))
        read = reader.read_stream(offer)
        with pytest.raises(StreamTaken):
            reader.read_stream(offer)
        assert [item async for item in read] == items
        await writing
        assert await read.next() is None
        again = reader.read_stream(offer)
        assert again.place == read.place, "one that was read goes on where it was left"
        await again.close()


async def test_a_writer_waits_for_credit_and_either_end_can_break_off(start_node: StartNode) -> None:
    node = await start_node()
    writer, reader = await node.agent("writer"), await node.agent("reader")
    async with writer, reader, asyncio.timeout(WAIT_S):
        written = await writer.open_stream("agent:reader")
        read = reader.read_stream(await offer_of(reader), window=64 * 1024)
        taken = 0
        while True:
            try:
                async with asyncio.timeout(0.3):
                    await written.send(b"x" * 1_536)
            except TimeoutError:
                break
            taken += 1
        assert taken == 32, "items of 2 KiB in a window of 64 KiB"
        assert await read.next() == b"x" * 1_536
        with pytest.raises(TooLarge):
            await written.send(b"x" * 65_025)
        await read.close()
        with pytest.raises(StreamReset, match="its reader is gone"):
            await written.finish()


async def test_offers_are_decided_as_any_message_is(start_node: StartNode) -> None:
    node = await start_node()
    writer, stranger = await node.agent("writer"), await node.connect()
    async with writer, stranger, asyncio.timeout(WAIT_S):
        with pytest.raises(Rejected) as denied:
            await stranger.open_stream("agent:writer")
        assert denied.value.code == "policy.denied"
        with pytest.raises(Malformed):
            await writer.open_stream("topic:news/today")
        with pytest.raises(Rejected) as away:
            await writer.open_stream(Identity.create().id)
        assert away.value.code == "agent.away"


class Way:
    """A way to a node that can be cut, and that stays where it is when the node moves."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._carrying: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    @property
    def url(self) -> str:
        return f"{urlsplit(self.node.url).scheme}://127.0.0.1:{self.port}"

    def cut(self) -> None:
        for task in self._carrying:
            task.cancel()

    async def _carry(self, reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        far_writing = None
        try:
            port = urlsplit(self.node.url).port
            far_reading, far_writing = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.TaskGroup() as both:
                both.create_task(carry(reading, far_writing))
                both.create_task(carry(far_reading, writing))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass
        finally:
            self._carrying.discard(task)
            for one in (writing, far_writing):
                if one is not None:
                    one.transport.abort()


async def carry(reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
    while chunk := await reading.read(65_536):
        writing.write(chunk)
        await writing.drain()
    raise ConnectionError("one side has ended")


@pytest.fixture
async def ways(start_node: StartNode) -> AsyncIterator[tuple[Node, Way, Way]]:
    node = await start_node("--http-host", "127.0.0.1")
    async with Way(node) as near, Way(node) as far:
        yield node, near, far


async def agent(node: Node, way: Way, name: str) -> Mesh:
    mesh = await Mesh.connect(way.url, identity=Identity.create(), domain=node.local.domain)
    await mesh.register(name, node.admin_token)
    return mesh


def item(number: int) -> bytes:
    return number.to_bytes(8, "big") + bytes([number % 256]) * (number * 131 % 1_500)


async def test_a_stream_that_is_cut_at_random_goes_on_without_a_gap_or_a_repeat(
    ways: tuple[Node, Way, Way],
) -> None:
    node, near, far = ways
    dice = random.Random(7)
    writer, reader = await agent(node, near, "writer"), await agent(node, far, "reader")
    async with writer, reader:
        written = await writer.open_stream("agent:reader")
        read = reader.read_stream(await offer_of(reader))
        stop, taken, sent = asyncio.Event(), 0, 0

        async def write() -> None:
            nonlocal sent
            while not stop.is_set():
                await written.send(item(sent))
                sent += 1
            await written.finish()

        async def take() -> None:
            nonlocal taken
            async for one in read:
                assert one == item(taken), f"item {taken} is missing, comes twice or is another"
                taken += 1

        both = [asyncio.create_task(write()), asyncio.create_task(take())]
        for cut in range(1, CUTS + 1):
            await asyncio.sleep(dice.random() * 0.03)
            if cut % 10 == 0:
                await node.kill()
                await node.start()
            else:
                for way in dice.choice(((near,), (far,), (near, far))):
                    way.cut()
            before = taken
            async with asyncio.timeout(WAIT_S):
                while taken <= before + 1 and not any(task.done() for task in both):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        stop.set()
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*both)
    assert taken == sent > CUTS
    print(f"{CUTS} resumptions: {sent} items written, {taken} taken")


async def test_the_scripted_model_streams_its_tokens(start_node: StartNode) -> None:
    node = await start_node()
    environment = {**os.environ, "OPENMESH_HOME": str(node.folder.parent)}
    environment["PYTHONPATH"] = str(REPOSITORY / "sdk" / "python" / "src")

    async def start(*arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        program = (sys.executable, str(EXAMPLE / arguments[0]), *arguments[1:])
        return await asyncio.create_subprocess_exec(*program, env=environment, stdout=pipe)

    model = await start("model.py")
    try:
        async with asyncio.timeout(WAIT_S):
            assert model.stdout is not None
            assert await model.stdout.readline() == b"listening as agent:model\n"
            answers = []
            for _ in range(2):
                asking = await start("ask.py", "why is the sky blue?", "--tokens", "500")
                answer, _ = await asking.communicate()
                assert asking.returncode == 0
                answers.append(answer.decode().split())
            assert len(answers[0]) == 500
            assert answers[0] == answers[1]
    finally:
        model.kill()
        await model.wait()
