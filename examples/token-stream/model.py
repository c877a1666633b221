"""A model that answers as models do: token by token, over a stream, as fast as whoever asked takes them.

It is scripted: its words come from a seed, not from weights. Try it in two terminals, beside `openmesh up`:

    python examples/token-stream/model.py
    python examples/token-stream/ask.py "why is the sky blue?"
"""

import asyncio
import hashlib
import sys
from collections.abc import Iterator

from openmesh_sdk import LocalNode, Mesh, Message, StreamReset, agent_identity

TOKENS_MAX = 2_000
WORDS = (
    "the light of a clear day is scattered by air and what is blue goes everywhere while red goes straight on".split()
)


def tokens(prompt: str, count: int) -> Iterator[str]:
    """The same prompt gives the same answer."""
    seed = hashlib.sha256(prompt.encode()).digest()
    for number in range(count):
        yield f"{WORDS[seed[number % len(seed)] % len(WORDS)]} "


async def answer(mesh: Mesh, question: Message) -> None:
    """Stream an answer to whoever asked; they may stop listening at any token."""
    asked = question.json()
    try:
        async with await mesh.open_stream(question.sender, in_reply_to=question.id, items="text/plain") as answering:
            for token in tokens(asked["prompt"], min(asked["tokens"], TOKENS_MAX)):
                await answering.send(token)
    except StreamReset as why:
        print(f"broken off: {why}", file=sys.stderr)


async def serve(mesh: Mesh) -> None:
    """Answer every question, each on its own."""
    async with asyncio.TaskGroup() as answers:
        async for question in (await mesh.incoming(resume=True)).messages():
            if question.performative == "request":
                answers.create_task(answer(mesh, question))


async def main() -> None:
    """Answer questions put to the agent `model`."""
    node = LocalNode.find()
    async with await Mesh.connect(node.url, identity=agent_identity("model"), domain=node.domain) as mesh:
        await mesh.register("model", node.admin_token)
        print("listening as agent:model", flush=True)
        await serve(mesh)


if __name__ == "__main__":
    asyncio.run(main())
