"""Sending, publishing, asking, answering, listening."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Unpack

from openmesh_sdk import drafting
from openmesh_sdk.asking.registry import Registry
from openmesh_sdk.drafting import Options
from openmesh_sdk.errors import Malformed, NoReply, OutcomeUnknown, Unanswerable
from openmesh_sdk.message import Message
from openmesh_sdk.talking import sending
from openmesh_sdk.talking.proving import Proving
from openmesh_sdk.talking.request import Exchange, Gathered, deadline_after, need_positive
from openmesh_sdk.talking.sending import Sent
from openmesh_sdk.talking.subscription import Subscription
from openmesh_sdk.wire.frames import Outcome, Unknown
from openmesh_sdk.words.addresses import Address
from openmesh_sdk.words.ids import AgentId
from openmesh_sdk.words.names import PinnedName
from openmesh_sdk.words.performatives import check_performative

REQUEST_TIMEOUT_S = 30.0
_RECALL = 21
_INBOX = "inbox/"


class Messaging(Registry):
    """What an agent says to others, and hears from them."""

    async def send(self, to: str, payload: object = None, *, act: str = "inform", **options: Unpack[Options]) -> Sent:
        """Sign a message, send it, and await how that ends; raises `Rejected` if the node refuses it.

        `to` is `agent:bob`, `inbox:bob`, `topic:a/b`, a DID, or absolute. Bytes go as they stand, a text as
        `text/plain`, anything else as JSON. Where a repeat is recognised for certain (mail that is kept, acts), the
        same bytes are sent again until the outcome is known; else, and at the end, `OutcomeUnknown`.
        """
        await self._pin(options)
        return await self.send_signed(self.compose(to, payload, act=act, **options))

    async def publish(
        self, topic: str, payload: object = None, *, signed: bool = True, **options: Unpack[Options]
    ) -> Sent:
        """Send a message to a topic, `market/news`; unsigned ones are taken by ephemeral topics alone."""
        to = topic if ":" in topic else f"topic:{topic}"
        await self._pin(options)
        draft = self.draft(to, payload, act="inform", **options)
        return await self.send_signed(self.sign(draft) if signed else draft)

    async def send_signed(self, message: Message, *, resend: bool | None = None) -> Sent:
        """Send a message that was composed before, such as one whose outcome was unknown.

        `resend` says whether to send it again until the outcome is known; otherwise the message's own kind does.
        """
        again = sending.is_recognised(message) if resend is None else resend
        work = sending.send_until_known if again else sending.send_once
        try:
            async with asyncio.timeout(self._options.send_timeout):
                return await work(self, message)
        except TimeoutError:
            raise OutcomeUnknown(
                f"no outcome within {self._options.send_timeout} s: send the same message again"
            ) from None

    async def send_batch(self, messages: Sequence[Message]) -> list[Sent | BaseException]:
        """Send messages in order, all on their way at once; each ends in its own answer or exception."""
        connection = await self.connection()
        for message in messages:
            connection.check_size(message)
        answers = [await connection.submit(message) for message in messages]
        done, _ = await asyncio.wait(answers, timeout=self._options.send_timeout) if answers else ((), ())
        pairs = zip(messages, answers, strict=True)
        return [_ended(message, answer if answer in done else None) for message, answer in pairs]

    async def recall(self, sent: Sent) -> None:
        """Call mail back that nobody has taken; raises `Rejected` if it comes too late."""
        logs = sent.receipt.logs if sent.receipt else ()
        inboxes = [(log, number) for log, number in logs if log.startswith(_INBOX)]
        if not inboxes:
            raise Malformed("the message is in no inbox: only mail that is kept can be called back")
        for log, number in inboxes:
            recipient = AgentId(log.removeprefix(_INBOX)).public_key
            await self.tell("a recall", _RECALL, recipient, number, sent.message.digest.raw, sent.message.id)

    async def reply(
        self, to: Message, payload: object = None, *, act: str = "inform", **options: Unpack[Options]
    ) -> Sent:
        """Answer a message: to its `replyto` or else its sender, in its conversation."""
        await self._pin(options)
        return await self.send_signed(self.compose_reply(to, payload, act=act, **options))

    async def request(
        self,
        to: str,
        payload: object = None,
        *,
        act: str = "request",
        timeout: float = REQUEST_TIMEOUT_S,  # noqa: ASYNC109
        **options: Unpack[Options],
    ) -> Message:
        """Ask one agent and await its final reply, passing over earlier ones such as agree; `NoReply` if none comes."""
        exchange = await self.exchange(to, payload, act=act, timeout=timeout, expected=1, **options)
        async for reply in exchange:
            if reply.is_final_reply:
                return reply
        raise NoReply(f"no final reply within {timeout} s: whether the request was worked on is not known")

    async def request_many(
        self,
        to: str,
        payload: object = None,
        *,
        act: str = "request",
        timeout: float = REQUEST_TIMEOUT_S,  # noqa: ASYNC109
        expected: int | None = None,
        **options: Unpack[Options],
    ) -> Gathered:
        """Ask many, such as all who read a topic, and gather final replies until a deadline or `expected` came."""
        exchange = await self.exchange(to, payload, act=act, timeout=timeout, expected=expected, **options)
        replies = [reply async for reply in exchange if reply.is_final_reply]
        return Gathered(replies, exchange.is_complete)

    async def exchange(
        self,
        to: str,
        payload: object = None,
        *,
        act: str = "request",
        timeout: float = REQUEST_TIMEOUT_S,  # noqa: ASYNC109
        expected: int | None = 1,
        **options: Unpack[Options],
    ) -> Exchange:
        """Send a request whose replies are read one by one."""
        options.setdefault("reply_by", need_positive(timeout))
        await self._pin(options)
        message = self.compose(to, payload, act=act, **options)
        connection = await self.connection()
        return await Exchange(Proving(self), connection, message, deadline_after(timeout), expected).send()

    async def subscribe(
        self, pattern: str, *, start: int | datetime | None = None, resume: bool = False
    ) -> Subscription:
        """Subscribe to topics: `topic:market/*`, `market/**`.

        `start` begins with the first record of the log at or above that number, or of that time on, for pinned topics.
        With `resume` it outlives its connection: what is kept is read on without loss, else a `Gap` says so.
        """
        return await Subscription(self, self.pattern(pattern), start, resume=resume).begin()

    async def incoming(self, *, resume: bool = False) -> Subscription:
        """Listen to the messages to the agent itself, from the moment of connecting on; once a connection.

        What is kept for the agent does not come here but lies in its inbox; awaited replies go to their request.
        """
        return await Subscription(self, "", None, resume=resume).begin_own()

    def compose(self, to: str, payload: object = None, *, act: str = "inform", **options: Unpack[Options]) -> Message:
        """Make and sign a message without sending it."""
        return self.sign(self.draft(to, payload, act=act, **options))

    def draft(self, to: str, payload: object = None, *, act: str = "inform", **options: Unpack[Options]) -> Message:
        """Make a message without a proof, which ephemeral topics alone take: the connection vouches for it."""
        return drafting.draft(self.id, str(self.address(to)), check_performative(act), payload, options)

    def compose_reply(
        self, to: Message, payload: object = None, *, act: str = "inform", **options: Unpack[Options]
    ) -> Message:
        """Make and sign an answer without sending it; sets no `parents`."""
        if not to.id:
            raise Unanswerable("the message cannot be answered: it has no id")
        options.setdefault("in_reply_to", to.id)
        if to.is_act:
            options.setdefault("protocol", PinnedName.parse_protocol_uri(to.attributes["protocol"]))
            options.setdefault("conversation_id", to.attributes["conversationid"])
        return self.compose(self._answer_address(to), payload, act=act, **options)

    def sign(self, message: Message) -> Message:
        """Put the agent's proof on a message."""
        return drafting.sign(message, self.identity)

    def sign_batch(self, messages: Sequence[Message]) -> list[Message]:
        """Put proofs on messages, with one signature for each 256."""
        return drafting.sign_batch(list(messages), self.identity)

    async def _pin(self, options: Options) -> None:
        """Schemas that are given by name or range become pins."""
        schema = options.get("schema")
        if isinstance(schema, str) and "#" not in schema:
            options["schema"] = (await self.schema(schema)).name

    def _answer_address(self, to: Message) -> str:
        reply_to = to.attributes.get("replyto")
        return reply_to or str(Address(self.domain, "agent", to.sender))


def _ended(message: Message, answer: "asyncio.Future[Outcome] | None") -> Sent | BaseException:
    try:
        return sending.conclude(message, Unknown() if answer is None else answer.result())
    except Exception as why:  # noqa: BLE001
        return why
