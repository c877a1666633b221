"""A node that serves HTTP, started for one test and stopped by its own process."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

READY_WAIT_S = 60


class Node:
    """A running node in a fresh folder."""

    def __init__(self, *arguments: str) -> None:
        self.home = tempfile.TemporaryDirectory()
        self.folder = Path(self.home.name) / "node"
        command = [os.environ["OPENMESH_BINARY"], "up", "--data", str(self.folder), "--listen", "127.0.0.1:0"]
        environment = {**os.environ, "OPENMESH_HOME": self.home.name}
        self.process = subprocess.Popen([*command, *arguments], env=environment, stdout=subprocess.DEVNULL)
        self.url = f"http://{self._ready()['http']}"

    def _ready(self) -> dict:
        until = time.monotonic() + READY_WAIT_S
        while time.monotonic() < until:
            try:
                return json.loads((self.folder / "endpoint.json").read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                if self.process.poll() is not None:
                    raise RuntimeError("the node ended before it was ready") from None
                time.sleep(0.05)
        raise TimeoutError("the node was not ready")

    @property
    def admin_token(self) -> str:
        """What lends the standing of an administrator."""
        return (self.folder / "admin.token").read_text().strip()

    def token(self, name: str, scopes: list[str]) -> str:
        """Registers an agent and gives its token."""
        answer = self.call("/v1/agents", self.admin_token, {"name": name, "scopes": scopes})
        return answer["token"]

    def call(self, target: str, token: str, body: dict) -> dict:
        """Posts JSON and gives what was answered."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + target, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        self.home.cleanup()
