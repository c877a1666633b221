"""Runs schemathesis, all checks on, against the document of a real node, for as long as it is told (seconds).

Every operation is called as an agent, then those of administrators with the admin token. Streams are left out: they do
not end. Each run has another seed, which it prints.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from node import Node

HERE = Path(__file__).resolve().parent
EXAMPLES = 25
STREAMS = ["streamTopic", "tailLog"]


def of_administrators(url: str) -> list[str]:
    """The operations that need the standing of an administrator."""
    with urllib.request.urlopen(f"{url}/openapi.json") as answer:
        paths = json.load(answer)["paths"].values()
    operations = [operation for path in paths for operation in path.values() if "operationId" in operation]
    return [one["operationId"] for one in operations if {"token": ["admin"]} in one.get("security", [])]


def run(url: str, token: str, seed: int, limit_s: float, only: list[str]) -> bool:
    """One run of all operations, or some; tells whether nothing was found."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    flag, named = ("--include-operation-id", only) if only else ("--exclude-operation-id", STREAMS)
    chosen = [argument for operation in named for argument in (flag, operation)]
    command = [program, "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json"]
    options = ["--checks", "all", "-n", str(EXAMPLES), "--seed", str(seed), "--no-color", "--request-timeout", "30"]
    options += ["--suppress-health-check", "all"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    header = ["-H", f"Authorization: Bearer {token}"]
    try:
        # It leaves a cache in the folder it runs in.
        with tempfile.TemporaryDirectory() as folder:
            whole = [*command, *header, *options, *chosen]
            ended = subprocess.run(whole, env=environment, timeout=limit_s, cwd=folder)
    except subprocess.TimeoutExpired:
        print("the time is over; what was run found nothing")
        return True
    return ended.returncode == 0


def main() -> int:
    """Runs until the time is over or something is found."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 45
    seed = int(os.environ.get("OPENMESH_API_SEED", time.time()))
    until = time.monotonic() + seconds
    runs = 0
    with Node() as node:
        agent = node.token("tester", ["send", "read", "inbox", "publish", "admin"])
        administrators = of_administrators(node.url)
        assert administrators
        callers = [(agent, []), (node.admin_token, administrators)]
        while runs < len(callers) or time.monotonic() < until:
            limit_s = max(30.0, until - time.monotonic())
            token, only = callers[runs % len(callers)]
            if not run(node.url, token, seed + runs, limit_s, only):
                print(f"FAILED with seed {seed + runs}")
                return 1
            runs += 1
    print(f"{runs} runs found nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
