"""Where deliveries go: a bounded queue for each subscription and for each message whose replies are awaited.

A full queue never holds up the reader: what does not fit becomes a gap with its range.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from openmesh_sdk.message import Message
from openmesh_sdk.wire.frames import Delivered, Missed

OWN_SUBSCRIPTION = 0
"""The subscription that every agent has to its own address."""
REPLIES_MAX = 1024
"""Unread replies to one message."""


@dataclass(slots=True)
class Arrived:
    """A message that arrived."""

    number: int
    message: Message


@dataclass(slots=True)
class Gap:
    """Messages that matched but were missed: this reader, or the connection, was too slow."""

    first: int
    """The first number missed."""
    last: int | None
    """The last number missed; None where the connection was lost meanwhile, and nobody can say."""


class ArrivalQueue:
    """What arrived for one reader and is unread; a gap stands where messages are missing."""

    def __init__(self, messages_max: int) -> None:
        self._messages_max = max(messages_max, 1)
        self._arrived: deque[Arrived | Gap] = deque()
        self._changed = asyncio.Event()
        self._ended = False

    async def next(self) -> Arrived | Gap | None:
        """Return what comes next; None when the connection has ended and all is read."""
        while True:
            if self._arrived:
                return self._arrived.popleft()
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()

    def push(self, item: Arrived | Gap) -> None:
        """Take something in, or count it as missed."""
        if len(self._arrived) < self._messages_max:
            self._arrived.append(item)
        else:
            self._miss(item)
        self._changed.set()

    def end(self) -> None:
        """Let the reader know that nothing follows."""
        self._ended = True
        self._changed.set()

    def _miss(self, item: Arrived | Gap) -> None:
        """A full queue grows by one gap at most, which takes in all that follows."""
        first, last = (item.number, item.number) if isinstance(item, Arrived) else (item.first, item.last)
        newest = self._arrived[-1]
        if isinstance(newest, Gap):
            newest.last = max(last or first, newest.last or newest.first)
        else:
            self._arrived.append(Gap(first, last))


class Routes:
    """The queues of one connection."""

    def __init__(self, messages_max: int) -> None:
        self._messages_max = messages_max
        self._subscriptions = {OWN_SUBSCRIPTION: ArrivalQueue(messages_max)}
        self._replies: dict[str, ArrivalQueue] = {}

    def open(self, subscription: int) -> ArrivalQueue:
        """Give a subscription its queue."""
        return self._subscriptions.setdefault(subscription, ArrivalQueue(self._messages_max))

    def close(self, subscription: int) -> bool:
        """Drop a subscription's queue; tells whether there was one."""
        queue = self._subscriptions.pop(subscription, None)
        if queue is not None:
            queue.end()
        return queue is not None

    def await_replies(self, message_id: str) -> ArrivalQueue:
        """Give the replies to a message a queue."""
        return self._replies.setdefault(message_id, ArrivalQueue(REPLIES_MAX))

    def forget_replies(self, message_id: str) -> None:
        """Drop the queue of the replies to a message."""
        self._replies.pop(message_id, None)

    def deliver(self, delivery: Delivered | Missed) -> None:
        """Put a delivery where it belongs; one for a queue that was dropped is dropped."""
        if isinstance(delivery, Missed):
            queue = self._subscriptions.get(delivery.subscription)
            item: Arrived | Gap = Gap(delivery.first, delivery.last)
        else:
            queue = self._queue_for(delivery)
            item = Arrived(delivery.number, delivery.message)
        if queue is not None:
            queue.push(item)

    def end(self) -> None:
        """Let every reader know that nothing follows."""
        for queue in (*self._subscriptions.values(), *self._replies.values()):
            queue.end()
        self._subscriptions.clear()
        self._replies.clear()

    def _queue_for(self, delivery: Delivered) -> ArrivalQueue | None:
        answered = delivery.message.in_reply_to
        if delivery.subscription == OWN_SUBSCRIPTION and answered in self._replies:
            return self._replies[answered]
        return self._subscriptions.get(delivery.subscription)
