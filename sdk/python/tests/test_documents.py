"""What the pages show runs: the guide's examples in their order, and the README's agent from a built wheel."""

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from conftest import StartNode
from node import REPOSITORY, Node, need_binary

from openmesh_sdk import Mesh, Rejected
from openmesh_sdk.local import HOME_VARIABLE

SDK = REPOSITORY / "sdk" / "python"
AGENT_LINES_MAX = 10
TRY_AGAIN_S = 0.1
WAIT_S = 20.0


@pytest.fixture
def transport() -> str:
    """Once is enough: programs choose their own."""
    return "tcp"


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


async def test_the_guide_runs(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> None:
    node = await start_node()
    monkeypatch.setenv(HOME_VARIABLE, str(node.folder.parent))
    names: dict[str, Any] = {}
    found = blocks(REPOSITORY / "docs" / "python.md")
    assert len(found) > 5
    for block in found:
        code = compile(block, "docs/python.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        async with asyncio.timeout(WAIT_S):
            running = types.FunctionType(code, names)()
            if inspect.iscoroutine(running):
                await running


def run(*command: str | Path) -> None:
    ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"


def install_wheel(folder: Path) -> Path:
    """Builds the wheel and installs it, alone, into an environment of its own."""
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder / "dist", SDK)
    [wheel] = (folder / "dist").glob("openmesh_sdk-*.whl")
    run(sys.executable, "-m", "venv", folder / "environment")
    python = folder / "environment" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return python


def commands(page: Path) -> list[str]:
    return re.findall(r"^\$ (openmesh .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def say(command: str, environment: dict[str, str]) -> str:
    """Runs a command of the page, as a person would type it."""
    words = [str(need_binary()), *shlex.split(command)[1:]]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


async def ask_until_there(node: Node, name: str, text: str) -> str:
    """Writes to an agent as soon as it is registered, and returns its answer."""
    async with await node.agent("asker") as mesh:
        async with asyncio.timeout(WAIT_S):
            await write_until_taken(mesh, name, text)
        jobs = await mesh.inbox.lease(wait=WAIT_S)
        assert jobs, "no answer"
        return str(jobs[0].message.content)


async def write_until_taken(mesh: Mesh, name: str, text: str) -> None:
    while True:
        try:
            await mesh.send(f"agent:{name}", text, ack_level="durable")
        except Rejected as why:
            assert why.code == "address.unknown_agent", why
            await asyncio.sleep(TRY_AGAIN_S)
        else:
            return


async def test_the_readmes_agent_runs_from_the_wheel(start_node: StartNode, tmp_path: Path) -> None:
    [agent] = blocks(SDK / "README.md")
    statements = [line for line in agent.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(statements) <= AGENT_LINES_MAX, "ten lines, not counting imports"
    node = await start_node()
    python = await asyncio.to_thread(install_wheel, tmp_path)
    (tmp_path / "agent.py").write_text(agent, encoding="utf-8")
    environment = {**os.environ, HOME_VARIABLE: str(node.folder.parent), "PYTHONPATH": ""}
    running = subprocess.Popen([str(python), tmp_path / "agent.py"], env=environment, cwd=tmp_path)  # noqa: ASYNC220
    try:
        assert await ask_until_there(node, "alice", "hello") == "I got: hello"
        said = [await asyncio.to_thread(say, command, environment) for command in commands(SDK / "README.md")]
        assert "I got: hello" in said[-1], said
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()
