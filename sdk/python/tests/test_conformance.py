"""Every scenario of `sdk/conformance/`, with this SDK, against the real node."""

import asyncio
from pathlib import Path

import pytest
from conformance.lines import Line, parse, read
from conformance.stage import Player, Stage
from conformance.verbs import VERBS
from conftest import StartNode
from node import REPOSITORY

SCENARIOS = sorted((REPOSITORY / "sdk" / "conformance" / "scenarios").glob("*.txt"))
QUEUE = 1024


async def set_up(stage: Stage, line: Line) -> None:
    """The lines of `node`."""
    match line.verb:
        case "start":
            pins = line.take("pin")
            await stage.open(*(("--pin", pins) if pins else ()))
        case "restart" | "kill":
            await (stage.node.kill() if line.verb == "kill" else stage.node.stop())
            await stage.node.start()
            for player in stage.players.values():
                await player.mesh.close()
                await player.come_back(stage.node)
        case "pause":
            await asyncio.sleep(line.take("ms") / 1000)
        case _:
            raise AssertionError(f"{line.place}: the node does not {line.verb}")


async def enter(stage: Stage, line: Line) -> None:
    player = await Player.enter(stage.node, line.who, line.take("queue", QUEUE))
    stage.players[line.who] = player
    if line.take("register", default=True):
        await player.mesh.register(line.who, stage.node.admin_token)


async def play(stage: Stage, line: Line) -> None:
    if line.who == "node":
        await set_up(stage, line)
    elif line.verb == "enter":
        await enter(stage, line)
    else:
        await VERBS[line.verb](stage, stage.players[line.who], line)
    line.done()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_scenario(path: Path, start_node: StartNode) -> None:
    stage = Stage(start_node)
    try:
        for place, text in read(path):
            try:
                await play(stage, parse(place, text, stage.meaning))
            except Exception as why:
                raise AssertionError(f"{place}: {text}\n{why!r}") from why
    finally:
        await stage.close()


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 20
