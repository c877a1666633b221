"""The buyer in Python against the sellers and the auditor of `openmesh demo`, each its own process."""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import StartNode
from node import REPOSITORY, Node, need_binary

SDK = REPOSITORY / "sdk" / "python"
BUYER = SDK / "examples" / "market_buyer.py"
SELLERS = ("seller-1", "seller-2", "seller-3")
REQUESTS = 6
SEED = 42
RUN_WAIT_S = 90.0


@pytest.fixture
def transport() -> str:
    """Once is enough: programs choose their own."""
    return "tcp"


class Actor:
    """An agent's process: cues in, news out."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.news: list[Any] = []
        self._process = process

    @classmethod
    async def start(cls, name: str, *command: str | Path) -> "Actor":
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, "PYTHONPATH": str(SDK / "src")}
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdin=pipe, stdout=pipe, limit=1 << 24, env=environment
        )
        return cls(name, process)

    async def tell(self, cue: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(cue).encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self, kind: str) -> Any:
        """What it says next of this kind; all else is kept."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            self.news.append(said)
            if kind in said:
                return said[kind]
        raise AssertionError(f"{self.name} left early: {self.news}")

    def heard(self, kind: str) -> Any:
        """What it said last of this kind."""
        return next(news[kind] for news in reversed(self.news) if kind in news)

    async def leave(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def request(number: int) -> dict[str, Any]:
    budget = 100_000 * number
    value = {"amount": budget / 100, "currency": "EUR"}
    items = [
        {"id": "1", "quantity": 10, "unit": {"name": "chair", "value": {"amount": budget / 1000, "currency": "EUR"}}}
    ]
    fields = {"id": f"r-{number}", "title": "Chairs", "value": value, "items": items}
    fields["mainProcurementCategory"] = "goods"
    return {"id": f"r-{number}", "title": "Chairs", "budget": budget, "currency": "EUR", "fields": fields}


async def enter(actor: Actor, node: Node, folder: Path, *, misbehaves: bool = False) -> None:
    entry: dict[str, Any] = {"address": node.local.address, "domain": node.local.domain, "token": node.admin_token}
    entry |= {"key": str(folder / f"{actor.name}.key"), "seed": SEED, "misbehave": misbehaves}
    await actor.tell({"Enter": entry})
    await actor.hear("Ready")


async def test_the_buyer_in_python_closes_deals_with_the_sellers_of_the_demo(
    start_node: StartNode, tmp_path: Path
) -> None:
    node = await start_node("--pin", "market/**")
    binary = need_binary()
    async with AsyncExitStack() as stage, asyncio.timeout(RUN_WAIT_S):
        cast = [await Actor.start(name, binary, "demo-agent", "seller", name) for name in SELLERS]
        cast.append(await Actor.start("auditor", binary, "demo-agent", "auditor", "auditor"))
        buyer = await Actor.start("buyer", sys.executable, BUYER, "buyer")
        cast.append(buyer)
        for actor in cast:
            stage.push_async_callback(actor.leave)
        await asyncio.gather(*(enter(actor, node, tmp_path, misbehaves=actor.name == SELLERS[2]) for actor in cast))
        await buyer.tell({"Begin": [request(number) for number in range(1, REQUESTS + 1)]})
        auditor = cast[len(SELLERS)]
        outcomes = [(await auditor.hear("Ended"))["outcome"] for _ in range(REQUESTS)]
        for actor in cast:
            await actor.tell("Finish")
        tally = await buyer.hear("Done")
    awarded = sum("Awarded" in news for news in buyer.news)
    assert outcomes.count("success") == awarded > 0, outcomes
    assert tally["refused"] == {}
    assert tally["accepted"] >= REQUESTS
