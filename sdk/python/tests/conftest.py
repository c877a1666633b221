"""Fixtures: real nodes, on every transport there is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from node import Node, has_option

StartNode = Callable[..., Awaitable[Node]]
TRANSPORTS = ("tcp", "ws") if has_option("--http ") else ("tcp",)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def start_node(tmp_path: Path, transport: str) -> AsyncIterator[StartNode]:
    """Starts nodes that are ended with the test."""
    async with AsyncExitStack() as started:

        async def start(*arguments: str) -> Node:
            node = Node(tmp_path, arguments, transport)
            started.push_async_callback(node.kill)
            return await node.start()

        yield start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What did not run is said, once for each reason."""
    reasons = {report.longrepr[2] for report in terminalreporter.getreports("skipped")}
    for reason in sorted(reasons):
        terminalreporter.write_line(f"not run: {reason.removeprefix('Skipped: ')}")
