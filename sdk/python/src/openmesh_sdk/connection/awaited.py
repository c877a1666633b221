"""What the node still has to answer: sends, commands, pings."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from openmesh_sdk.errors import MeshError
from openmesh_sdk.wire.digest import Digest
from openmesh_sdk.wire.frames import Outcome, Reply, Unknown


@dataclass(slots=True)
class AwaitedSend:
    """A send without its outcome; holds its place among those in flight until the node answers."""

    digest: Digest
    answer: asyncio.Future[Outcome]
    release: Callable[[], None]

    def settle(self, outcome: Outcome) -> None:
        """Tell whoever waits, and give the place back."""
        self.release()
        if not self.answer.done():
            self.answer.set_result(outcome)


class Awaited:
    """Everything unanswered on one connection, by tag."""

    def __init__(self) -> None:
        self.sends: dict[int, AwaitedSend] = {}
        self.commands: dict[int, asyncio.Future[Reply]] = {}
        self.pongs: dict[int, asyncio.Future[None]] = {}

    def settle(self, tag: int, outcome: Outcome) -> None:
        """Give a send its outcome."""
        if send := self.sends.pop(tag, None):
            send.settle(outcome)

    def answer(self, tag: int, answer: Reply | MeshError) -> None:
        """Give a command its reply."""
        waiter = self.commands.pop(tag, None)
        if waiter is None or waiter.done():
            return
        if isinstance(answer, MeshError):
            waiter.set_exception(answer)
        else:
            waiter.set_result(answer)

    def answer_ping(self, number: int) -> None:
        """Give a ping its answer."""
        waiter = self.pongs.pop(number, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def end(self, why: MeshError) -> None:
        """End every wait."""
        for tag in list(self.sends):
            self.settle(tag, Unknown())
        for tag in list(self.commands):
            self.answer(tag, why)
        for waiter in self.pongs.values():
            if not waiter.done():
                waiter.set_exception(why)
        self.pongs.clear()
