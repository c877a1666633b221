"""The market with a buyer in Python and a seller over plain HTTP, whose contracts are signed outside."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from conftest import StartNode
from node import REPOSITORY, need_binary
from test_market_buyer import BUYER, RUN_WAIT_S, Actor, enter, request

HTTP_SELLER = REPOSITORY / "examples" / "http-seller" / "seller.py"
REQUESTS = 6


async def test_a_buyer_in_python_and_a_seller_over_http_come_to_terms(start_node: StartNode, tmp_path: Path) -> None:
    node = await start_node("--pin", "market/**")
    binary = need_binary()
    async with AsyncExitStack() as stage, asyncio.timeout(RUN_WAIT_S):
        sellers = [await Actor.start(name, binary, "demo-agent", "seller", name) for name in ("seller-1", "seller-2")]
        assert node.local.http is not None
        http = ("--openmesh", binary, "--http", node.local.http)
        sellers.append(await Actor.start("seller-3", sys.executable, HTTP_SELLER, "seller-3", *http))
        auditor = await Actor.start("auditor", binary, "demo-agent", "auditor", "auditor")
        buyer = await Actor.start("buyer", sys.executable, BUYER, "buyer")
        cast = [*sellers, auditor, buyer]
        for actor in cast:
            stage.push_async_callback(actor.leave)
        for actor in cast:
            await enter(actor, node, tmp_path, misbehaves=False)
        await buyer.tell({"Begin": [request(number) for number in range(1, REQUESTS + 1)]})
        outcomes = [(await auditor.hear("Ended"))["outcome"] for _ in range(REQUESTS)]
        for actor in cast:
            await actor.tell("Finish")
        tally = await buyer.hear("Done")
        over_http = await sellers[2].hear("Done")
    awards = [news["Awarded"]["seller"] for news in buyer.news if "Awarded" in news]
    assert outcomes.count("success") == len(awards) > 0, outcomes
    won = awards.count("seller-3")
    assert won > 0, "the seller over HTTP is the cheapest and wins"
    assert tally["refused"] == {}
    assert over_http["refused"] == {"protocol.custodial_signature": won}
    kept = sellers[2].heard("Kept")
    assert [how for act, how in kept if act == "inform"] == ["signed"] * won
    assert {how for act, how in kept if act != "inform"} == {"custodial"}
    assert "propose" in {act for act, _ in kept}
