"""Asks the model of `model.py`, and prints its answer token by token as it comes."""

import argparse
import asyncio

from openmesh_sdk import LocalNode, Mesh, agent_identity


async def ask(mesh: Mesh, prompt: str, count: int) -> None:
    """Ask, and print the stream that answers."""
    incoming = await mesh.incoming()
    question = await mesh.send("agent:model", {"prompt": prompt, "tokens": count}, act="request")
    async for offer in incoming.messages():
        if offer.in_reply_to == question.message.id and "stream" in offer.attributes:
            break
    async for token in mesh.read_stream(offer):
        print(token.decode(), end="", flush=True)
    print()


async def main() -> None:
    """Ask as the agent `asker`."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("prompt")
    arguments.add_argument("--tokens", type=int, default=40, help="how long the answer is")
    chosen = arguments.parse_args()
    node = LocalNode.find()
    async with await Mesh.connect(node.url, identity=agent_identity("asker"), domain=node.domain) as mesh:
        await mesh.register("asker", node.admin_token)
        await ask(mesh, chosen.prompt, chosen.tokens)


if __name__ == "__main__":
    asyncio.run(main())
