"""The real node as a process of its own in a fresh folder; ended by its own process id."""

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from openmesh_sdk import Identity, LocalNode, Mesh

REPOSITORY = Path(__file__).parents[3]
READY_WAIT_S = 60.0
END_WAIT_S = 30.0


def find_binary() -> Path | None:
    """`OPENMESH_BINARY`, or what cargo built in this checkout."""
    if given := os.environ.get("OPENMESH_BINARY"):
        return Path(given)
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    built = [target / profile / "openmesh" for profile in ("debug", "release")]
    return max((one for one in built if one.exists()), key=lambda one: one.stat().st_mtime, default=None)


def need_binary() -> Path:
    binary = find_binary()
    if binary is None:
        pytest.skip("tests of the Python SDK with a node (no openmesh binary: cargo build -p openmesh-node)")
    return binary


def has_option(option: str) -> bool:
    """Whether `openmesh up` has an option."""
    binary = find_binary()
    shown = subprocess.run([binary, "up", "--help"], capture_output=True, check=False) if binary else None
    return shown is not None and option.encode() in shown.stdout


class Node:
    """A running node."""

    def __init__(self, home: Path, arguments: tuple[str, ...] = (), transport: str = "tcp") -> None:
        self.folder = home / "node"
        self._home = home
        self._arguments = arguments
        self._transport = transport
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> "Node":
        endpoint = self.folder / "endpoint.json"
        endpoint.unlink(missing_ok=True)
        command = [str(need_binary()), "up", "--data", str(self.folder), "--listen", "127.0.0.1:0", *self._arguments]
        self._process = subprocess.Popen(  # noqa: ASYNC220
            command,
            env={**os.environ, "OPENMESH_HOME": str(self._home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + READY_WAIT_S
        while not self._is_ready(endpoint):
            assert self._process.poll() is None, "the node ended before it was ready"
            assert time.monotonic() < until, "the node was not ready in time"
            await asyncio.sleep(0.01)
        return self

    async def stop(self, number: int = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            await asyncio.to_thread(process.wait, END_WAIT_S)

    async def kill(self) -> None:
        await self.stop(signal.SIGKILL)

    @property
    def local(self) -> LocalNode:
        return LocalNode.find(self.folder)

    @property
    def admin_token(self) -> str:
        return self.local.admin_token

    @property
    def url(self) -> str:
        return self.local.socket_url if self._transport == "ws" else self.local.native_url

    async def connect(self, identity: Identity | None = None, **options: Any) -> Mesh:
        identity = identity or Identity.create()
        options.setdefault("ca_file", self.local.ca_file)
        return await Mesh.connect(self.url, identity=identity, domain=self.local.domain, **options)

    async def agent(self, name: str, **options: Any) -> Mesh:
        mesh = await self.connect(**options)
        await mesh.register(name, self.admin_token)
        return mesh

    def _is_ready(self, endpoint: Path) -> bool:
        try:
            said = json.loads(endpoint.read_text())
        except (OSError, ValueError):
            return False
        return self._process is not None and said.get("pid") == self._process.pid
