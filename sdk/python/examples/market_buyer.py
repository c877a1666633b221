"""The buyer of the market demo, in Python: sends out requests, bargains, awards the best offer, signs the contract.

It speaks as `openmesh demo-agent` does: cues on standard input, news on standard output, one JSON text a line. It acts
on a bid only when it is its turn there, and awards only when no seller owes it an answer, so that none of its acts
crosses another's. The same seed gives the same bargains as the buyer in Rust.
"""

import asyncio
import hashlib
import json
import math
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from openmesh_sdk import AgentId, Conversation, Identity, Mesh, Message, Notice, ProtocolError, Sent
from openmesh_sdk.words.times import format_time, now_ms

PROTOCOL = "market/negotiation@^1"
TOPIC = "topic:market/rfp"
SELLER_PREFIX = "seller-"
TENDER_MS = 8_000
FIRST_TENDER_MS = 25_000
OPEN_MAX = 8
CUT = 0.18
PATIENCE_S = 60.0
CLAUSES = (
    "The buyer pays the value within 30 days of delivery.",
    "Both parties signed these same bytes; the log of their domain holds both signatures.",
)


def tell(news: object) -> None:
    """Tells the demo something."""
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


class Dice:
    """Chance that can be repeated: SplitMix64 from a seed and the name of what it decides."""

    def __init__(self, seed: int, *names: str) -> None:
        named = b"".join(name.encode() + b"\0" for name in names)
        drawn = hashlib.sha256(b"openmesh demo dice v1\0" + seed.to_bytes(8, "big") + named)
        self._state = int.from_bytes(drawn.digest()[:8], "big")

    def between(self, low: float, high: float) -> float:
        self._state = (self._state + 0x9E3779B97F4A7C15) % (1 << 64)
        mixed = (self._state ^ (self._state >> 30)) * 0xBF58476D1CE4E5B9 % (1 << 64)
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % (1 << 64)
        return low + (high - low) * (((mixed ^ (mixed >> 31)) >> 11) / (1 << 53))

    def happens(self, probability: float) -> bool:
        return self.between(0.0, 1.0) < probability


def nearest(cents: float) -> int:
    """To the nearest cent, halves away from zero."""
    return math.floor(cents + 0.5) if cents >= 0 else -math.floor(-cents + 0.5)


def value(cents: int, currency: str) -> dict[str, object]:
    return {"amount": cents / 100, "currency": currency}


def cents_of(offer: Message) -> int:
    return nearest(offer.json()["value"]["amount"] * 100)


@dataclass
class Rfp:
    """A request for proposals, as the demo hands it out; prices are in cents."""

    id: str
    title: str
    budget: int
    currency: str
    fields: dict[str, Any]
    end_published: str | None = None

    def payload(self, tender_ms: int) -> dict[str, Any]:
        start = now_ms()
        period = {"startDate": format_time(start), "endDate": format_time(start + tender_ms)}
        return {**self.fields, "tenderPeriod": period}


@dataclass
class Bid:
    """One seller's offer."""

    price: int
    offer: Message
    is_our_turn: bool = True
    counters: int = 0


class Plan:
    """What the buyer means to do, known to it alone."""

    def __init__(self, seed: int, rfp: Rfp, *, is_first: bool) -> None:
        dice = Dice(seed, "buyer", rfp.id)
        self.target = nearest(rfp.budget * dice.between(0.60, 0.75))
        self.push = dice.between(0.25, 0.70)
        self.counters_max = 2 if dice.happens(0.5) else 1
        cut = dice.happens(CUT) and not is_first
        self.most = nearest(rfp.budget * dice.between(0.45, 0.62)) if cut else rfp.budget


@dataclass
class Negotiation:
    """One conversation, and the bids that still stand in it."""

    talk: Conversation
    rfp: Rfp
    plan: Plan
    bids: dict[AgentId, Bid] = field(default_factory=dict)
    answered: int = 0
    is_closed: bool = False
    is_decided: bool = False


@dataclass
class Tally:
    """What the buyer counted."""

    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    latencies_us: list[int] = field(default_factory=list)
    acts_read: int = 0


class Buyer:
    """What the buyer knows."""

    def __init__(self, mesh: Mesh, name: str, seed: int) -> None:
        self.tally = Tally()
        self._mesh, self._name, self._seed = mesh, name, seed
        self._sellers: dict[AgentId, str] = {}
        self._auditor: AgentId | None = None
        self._waiting: deque[Rfp] = deque()
        self._open: dict[str, Negotiation] = {}
        self._called = 0

    async def begin(self, requests: list[Rfp]) -> None:
        """Sends out the first requests; each of the others follows when a negotiation has ended."""
        agents = {row["name"]: AgentId(row["agent"]) for row in await self._mesh.agents()}
        self._sellers = {agent: name for name, agent in agents.items() if name.startswith(SELLER_PREFIX)}
        self._auditor = agents.get("auditor")
        self._waiting = deque(requests)
        await self._call_more()

    async def read(self, message: Message) -> None:
        """Reads one message of the inbox."""
        self.tally.acts_read += message.is_act
        if notice := Notice.of_message(message):
            await self._read_notice(notice)
            return
        negotiation = self._open.get(message.conversation_id or "")
        if negotiation is not None and self._note(negotiation, message):
            await self._go_on(negotiation)

    def _note(self, negotiation: Negotiation, act: Message) -> bool:
        """Notes what a seller did; tells whether it matters."""
        seller = act.sender
        match act.performative:
            case "propose":
                negotiation.bids[seller] = Bid(cents_of(act), act)
                negotiation.answered += 1
            case "counter-propose":
                bid = negotiation.bids[seller]
                bid.price, bid.offer, bid.is_our_turn = cents_of(act), act, True
            case "refuse":
                negotiation.answered += negotiation.bids.pop(seller, None) is None
            case _:
                return False
        return True

    async def _read_notice(self, notice: Notice) -> None:
        if notice.outcome is not None:
            self._open.pop(notice.conversation_id, None)
            await self._call_more()
            return
        negotiation = self._open.get(notice.conversation_id)
        if negotiation is not None and (notice.machine, notice.after) == ("round", "closed"):
            negotiation.is_closed = True
            await self._go_on(negotiation)

    async def _call_more(self) -> None:
        while self._waiting and len(self._open) < OPEN_MAX:
            await self._call(self._waiting.popleft())

    async def _call(self, rfp: Rfp) -> None:
        talk = await self._mesh.converse(PROTOCOL)
        self._called += 1
        is_first = self._called == 1
        called = {"number": self._called, "conversation": talk.id, "title": rfp.title}
        tell({"Called": {**called, "budget": rfp.budget, "currency": rfp.currency}})
        self._open[talk.id] = Negotiation(talk, rfp, Plan(self._seed, rfp, is_first=is_first))
        payload = rfp.payload(FIRST_TENDER_MS if is_first else TENDER_MS)
        invite = {"auditor": self._auditor} if self._auditor else {}
        await self._act(talk, "cfp", payload, to=TOPIC, schema="market/rfp@^1", invite=invite)

    async def _go_on(self, negotiation: Negotiation) -> None:
        """Counters what is too dear; decides when nobody owes an answer any more."""
        all_answered = negotiation.answered == len(self._sellers)
        if negotiation.is_decided or not (all_answered or negotiation.is_closed):
            return
        await self._counter(negotiation)
        if not negotiation.bids or not all(bid.is_our_turn for bid in negotiation.bids.values()):
            return
        negotiation.is_decided = True
        seller, best = min(negotiation.bids.items(), key=lambda item: item[1].price)
        if best.price > negotiation.plan.most:
            await self._act(negotiation.talk, "cancel", {"reason": "no offer within what can be spent"})
            return
        await self._award(negotiation, seller, best)

    async def _counter(self, negotiation: Negotiation) -> None:
        plan, rfp = negotiation.plan, negotiation.rfp
        for bid in negotiation.bids.values():
            if not (bid.is_our_turn and bid.counters < plan.counters_max and bid.price > plan.target):
                continue
            price = bid.price + nearest((plan.target - bid.price) * plan.push)
            payload = {"rfp": rfp.id, "value": value(price, rfp.currency)}
            await self._answer(negotiation.talk, bid.offer, "counter-propose", payload, schema="market/proposal@^1")
            bid.is_our_turn = False
            bid.counters += 1

    async def _award(self, negotiation: Negotiation, seller: AgentId, won: Bid) -> None:
        """Accepts one offer, rejects the others, and sends the contract for the seller to sign too."""
        talk, rfp, name = negotiation.talk, negotiation.rfp, self._sellers[seller]
        await self._answer(talk, won.offer, "accept-proposal")
        awarded = {"conversation": talk.id, "seller": name, "price": won.price, "currency": rfp.currency}
        tell({"Awarded": awarded})
        for other, bid in negotiation.bids.items():
            if other != seller:
                await self._answer(talk, bid.offer, "reject-proposal")
        contract = {
            "rfp": rfp.id,
            "proposal": won.offer.digest,
            "parties": list(self._parties(seller, name)),
            "clauses": [f"The seller supplies what request {rfp.id} asks for: {rfp.title}.", *CLAUSES],
            "value": value(won.price, rfp.currency),
        }
        negotiation.bids.clear()
        await self._act(talk, "inform", contract, to=seller, schema="market/contract@^2")

    def _parties(self, seller: AgentId, name: str) -> Iterator[dict[str, str]]:
        yield {"id": self._mesh.id, "role": "buyer", "name": self._name}
        yield {"id": seller, "role": "seller", "name": name}

    async def _act(self, talk: Conversation, act: str, payload: object = None, **options: Any) -> None:
        await self._count(act, talk.act(act, payload, **options))

    async def _answer(
        self, talk: Conversation, offer: Message, act: str, payload: object = None, **options: Any
    ) -> None:
        await self._count(act, talk.answer(offer, act, payload, **options))

    async def _count(self, act: str, sending: Any) -> None:
        """Sends an act that must be legal, counts and times it."""
        begun = time.perf_counter_ns()
        try:
            sent: Sent = await sending
        except ProtocolError as why:
            self.tally.refused[why.code] = self.tally.refused.get(why.code, 0) + 1
            nexts = [one.performative for one in why.allowed_next]
            said = {"deed": f"an honest {act}", "code": why.code, "detail": why.detail}
            tell({"Refused": {**said, "allowed_next": nexts}})
            raise
        self.tally.accepted += sent.is_kept
        self.tally.latencies_us.append((time.perf_counter_ns() - begun) // 1000)


async def read_cues(cues: asyncio.Queue[Any]) -> None:
    """Standard input, line by line; its end is the end of everything."""
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        await cues.put(json.loads(line))
    await cues.put(None)


async def work(mesh: Mesh, buyer: Buyer, cues: asyncio.Queue[Any]) -> None:
    """Works from the inbox until the demo says that all has ended and nothing is left in it."""
    mail = asyncio.create_task(read_mail(mesh, buyer))
    while (cue := await cues.get()) is not None and cue != "Finish":
        await buyer.begin([Rfp(**one) for one in cue["Begin"]])
    while (await mesh.inbox.counts()).pending and not mail.done():
        await asyncio.sleep(0.01)
    if mail.done():
        await mail
    mail.cancel()


async def read_mail(mesh: Mesh, buyer: Buyer) -> None:
    async for job in mesh.inbox.work(visibility=2 * PATIENCE_S):
        await buyer.read(job.message)


async def main(name: str) -> None:
    cues: asyncio.Queue[Any] = asyncio.Queue(64)
    listening = asyncio.create_task(read_cues(cues))
    entry = (await cues.get())["Enter"]
    identity = Identity.load_or_create(Path(entry["key"]))
    timeouts = dict.fromkeys(("connect_timeout", "command_timeout", "send_timeout"), PATIENCE_S)
    url, domain = f"tcp://{entry['address']}", entry["domain"]
    async with await Mesh.connect(url, identity=identity, domain=domain, **timeouts) as mesh:
        await mesh.register(name, entry["token"])
        buyer = Buyer(mesh, name, entry["seed"])
        tell({"Ready": mesh.id})
        await work(mesh, buyer, cues)
        tell({"Done": asdict(buyer.tally)})
    listening.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "buyer"))
