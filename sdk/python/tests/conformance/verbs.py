"""What agents do in scenarios."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from node import REPOSITORY

from conformance.lines import Line
from conformance.stage import Player, Stage, check_message, check_problem, within
from openmesh_sdk import AgentId, Gap, Message, Notice, Rejected, Retention, Sent

Verb = Callable[[Stage, Player, Line], Awaitable[None]]
VERBS: dict[str, Verb] = {}
QUIET_MS = 300
VISIBILITY_MS = 60_000
REQUEST_MS = 10_000


def verb(function: Verb) -> Verb:
    VERBS[function.__name__.rstrip("_").replace("_", "-")] = function
    return function


def expected_of_message(line: Line) -> dict[str, Any]:
    keys = ("payload", "text", "from", "act")
    return {key: line.take(key) for key in keys if key in line.values}


def expected_of_problem(line: Line) -> dict[str, Any]:
    return {key: line.take(key) for key in ("pointer", "state", "allowed") if key in line.values}


async def ends(work: Awaitable[Any], line: Line, done: str = "done") -> Any:
    """Awaits work that must end as the line says; gives its result, or None when it was to be refused."""
    expect, problem = line.take("expect", done), expected_of_problem(line)
    try:
        result = await within(work)
    except Rejected as why:
        assert why.code == expect, f"{line.place}: {why}"
        check_problem(why, problem)
        return None
    assert expect == done, f"{line.place}: {done}, not {expect}"
    return result


# --- coming and going ---------------------------------------------------------------------------------------------


@verb
async def leave(_: Stage, player: Player, __: Line) -> None:
    await player.mesh.close()


@verb
async def return_(stage: Stage, player: Player, _: Line) -> None:
    await player.come_back(stage.node)


@verb
async def register(stage: Stage, player: Player, line: Line) -> None:
    token = line.take("token", stage.node.admin_token)
    await ends(player.mesh.register(line.take("name"), token), line)


# --- sending ------------------------------------------------------------------------------------------------------


async def compose(stage: Stage, player: Player, line: Line) -> Message:
    mesh, options = player.mesh, options_of(stage, line)
    if schema := line.take("schema"):
        options["schema"] = (await mesh.schema(schema)).name
    if protocol := line.take("protocol"):
        options["protocol"] = (await mesh.protocol(protocol)).name
    payload, act = line.take("payload"), line.take("act", "inform")
    if "text" not in line.values and payload is not None:
        options["content_type"] = "application/json"
    payload = line.take("text", payload)
    extensions = {"id": line.take("id")} if "id" in line.values else {}
    draft = mesh.draft(line.take("to"), payload, act=act, extensions=extensions, **options)
    return mesh.sign(draft) if line.take("signed", default=True) else draft


def options_of(stage: Stage, line: Line) -> Any:
    options: dict[str, Any] = {}
    for key, name in (("level", "ack_level"), ("priority", "priority"), ("parents", "parents"), ("invite", "invite")):
        if key in line.values:
            options[name] = line.take(key)
    for key, name in (("expires", "expires"), ("reply-by", "reply_by"), ("not-before", "not_before")):
        if key in line.values:
            options[name] = line.take(key) / 1000
    if "in-reply-to" in line.values:
        options["in_reply_to"] = stage.messages[line.take("in-reply-to")].id
    if "conversation" in line.values:
        options["conversation_id"] = stage.conversation(line.take("conversation"))
    return options


def check_sent(stage: Stage, line: Line, sent: Sent | None, as_name: str | None, message: Message) -> None:
    level, duplicate = line.take("level-given"), line.take("duplicate")
    if sent is None:
        return
    receipt = sent.receipt
    if level is not None:
        assert receipt is not None and receipt.level == level, line.place
    if duplicate is not None:
        assert receipt is not None and receipt.duplicate == duplicate, line.place
    stage.keep(as_name, message, sent.position.seq if sent.position else None)
    if as_name is not None:
        stage.sent[as_name] = sent


async def send_and_check(stage: Stage, player: Player, line: Line, message: Message) -> None:
    as_name = line.take("as")
    done = "passed" if line.values.get("expect") == "passed" else "accepted"
    sent = await ends(player.mesh.send_signed(message), line, done)
    if sent is not None and done == "passed":
        assert sent.receipt is None, line.place
    if sent is not None and done == "accepted":
        assert sent.receipt is not None, line.place
    check_sent(stage, line, sent, as_name, message)


@verb
async def send(stage: Stage, player: Player, line: Line) -> None:
    await send_and_check(stage, player, line, await compose(stage, player, line))


@verb
async def resend(stage: Stage, player: Player, line: Line) -> None:
    name = line.word()
    before = stage.positions[name]
    line.values["as"] = name
    await send_and_check(stage, player, line, stage.messages[name])
    assert stage.positions[name] == before, f"{line.place}: another position"


@verb
async def batch(_: Stage, player: Player, line: Line) -> None:
    to, count, expect = line.take("to"), line.take("count"), line.take("expect", "accepted")
    drafts = [
        player.mesh.draft(to, number, act="inform", content_type="application/json") for number in range(1, count + 1)
    ]
    for sent in await within(player.mesh.send_batch(player.mesh.sign_batch(drafts))):
        assert isinstance(sent, Sent), sent
        assert (sent.receipt is None) == (expect == "passed"), line.place


@verb
async def receipt(stage: Stage, player: Player, line: Line) -> None:
    name = line.word()
    found = await within(player.mesh.receipt(stage.messages[name]))
    assert (found is not None) == line.take("found", default=True), line.place
    if found is not None and found.position is not None:
        assert found.position.seq == stage.positions[name]


# --- listening ----------------------------------------------------------------------------------------------------


@verb
async def subscribe(_: Stage, player: Player, line: Line) -> None:
    start: int | datetime | None = None
    if "start" in line.values:
        start = int(line.take("start"))
    if "since" in line.values:
        start = datetime.fromisoformat(line.take("since"))
    work = player.mesh.subscribe(line.take("pattern"), start=start)
    name = line.word()
    subscription = await ends(work, line)
    if subscription is not None:
        player.subscriptions[name] = subscription


@verb
async def next_(stage: Stage, player: Player, line: Line) -> None:
    item = await within(player.subscriptions[line.word()].next())
    assert isinstance(item, Message), f"{line.place}: {item}"
    check_message(item, stage, expected_of_message(line))
    seq = item.position.seq if item.position else None
    if "seq" in line.values:
        assert seq == int(line.take("seq")), line.place
    stage.keep(line.take("as"), item, seq)


@verb
async def gap(_: Stage, player: Player, line: Line) -> None:
    item = await within(player.subscriptions[line.word()].next())
    assert item == Gap(line.take("first"), line.take("last")), f"{line.place}: {item}"


@verb
async def nothing(_: Stage, player: Player, line: Line) -> None:
    try:
        async with asyncio.timeout(line.take("ms", QUIET_MS) / 1000):
            item = await player.subscriptions[line.word()].next()
    except TimeoutError:
        return
    raise AssertionError(f"{line.place}: {item}")


@verb
async def end(_: Stage, player: Player, line: Line) -> None:
    await within(player.subscriptions.pop(line.word()).end())


# --- asking and answering -----------------------------------------------------------------------------------------


@verb
async def asks(_: Stage, player: Player, line: Line) -> None:
    name, act = line.word(), line.take("act", "request")
    to, payload, timeout = line.take("to"), line.take("payload"), line.take("timeout", REQUEST_MS) / 1000
    work = player.mesh.exchange(
        to, payload, act=act, timeout=timeout, expected=None if "topic:" in to else 1, content_type="application/json"
    )
    exchange = await ends(work, line)
    if exchange is not None:
        player.exchanges[name] = exchange


@verb
async def gets(stage: Stage, player: Player, line: Line) -> None:
    reply = await within(player.exchanges[line.word()].next())
    assert reply is not None, f"{line.place}: no reply"
    check_message(reply, stage, expected_of_message(line))


@verb
async def gathers(stage: Stage, player: Player, line: Line) -> None:
    exchange, wanted = player.exchanges[line.word()], line.take("from")
    found: set[str] = set()
    while len(found) < len(wanted):
        reply = await within(exchange.next())
        assert reply is not None, f"{line.place}: {found}"
        if reply.is_final_reply:
            found.add(reply.sender)
    assert found == {stage.players[name].identity.id for name in wanted}, line.place


@verb
async def unanswered(_: Stage, player: Player, line: Line) -> None:
    reply = await within(player.exchanges.pop(line.word()).next())
    assert reply is None, f"{line.place}: {reply}"


@verb
async def hears(stage: Stage, player: Player, line: Line) -> None:
    assert player.incoming is not None
    item = await within(player.incoming.next())
    assert isinstance(item, Message), f"{line.place}: {item}"
    check_message(item, stage, expected_of_message(line))
    stage.keep(line.take("as"), item, None)


@verb
async def replies(stage: Stage, player: Player, line: Line) -> None:
    asked, act = stage.messages[line.word()], line.take("act", "inform")
    options: Any = {"more": True} if line.take("more") else {}
    options["content_type"] = "application/json"
    message = player.mesh.compose_reply(asked, line.take("payload"), act=act, **options)
    await send_and_check(stage, player, line, message)


# --- the inbox ----------------------------------------------------------------------------------------------------


@verb
async def lease(_: Stage, player: Player, line: Line) -> None:
    name, wait = line.word(), line.take("wait", 0) / 1000
    visibility = line.take("visibility", VISIBILITY_MS) / 1000
    jobs = await within(player.mesh.inbox.lease(line.take("max", 1), visibility=visibility, wait=wait))
    if "payloads" in line.values:
        assert [job.message.json() for job in jobs] == line.take("payloads"), line.place
    if "attempt" in line.values:
        assert {job.attempt for job in jobs} == {line.take("attempt")}, line.place
    older = [job.token for held in player.leases.values() for job in held]
    assert all(job.token > token for job in jobs for token in older), f"{line.place}: tokens grow"
    player.leases[name] = jobs


@verb
async def ack(_: Stage, player: Player, line: Line) -> None:
    await ends(player.mesh.inbox.ack(player.leases[line.word()][0].token), line)


@verb
async def nack(_: Stage, player: Player, line: Line) -> None:
    token, delay = player.leases[line.word()][0].token, line.take("delay", 0) / 1000
    await ends(player.mesh.inbox.nack(token, delay=delay), line)


@verb
async def extend(_: Stage, player: Player, line: Line) -> None:
    token, visibility = player.leases[line.word()][0].token, line.take("visibility") / 1000
    await ends(player.mesh.inbox.extend(token, visibility), line)


@verb
async def mail(stage: Stage, player: Player, line: Line) -> None:
    jobs = await within(player.mesh.inbox.lease(wait=9.0))
    assert jobs, f"{line.place}: no mail"
    message = jobs[0].message
    check_message(message, stage, expected_of_message(line))
    notice = Notice.of_message(message)
    if "notice" in line.values:
        assert notice is not None, f"{line.place}: {message}"
        assert f"{notice.machine}:{notice.after}" == line.take("notice"), line.place
    if "outcome" in line.values:
        assert notice is not None and notice.outcome == line.take("outcome"), line.place
    stage.keep(line.take("as"), message, message.position.seq if message.position else None)
    await jobs[0].ack()


@verb
async def empty(_: Stage, player: Player, line: Line) -> None:
    jobs = await within(player.mesh.inbox.lease(wait=QUIET_MS / 1000))
    assert not jobs, f"{line.place}: {jobs[0].message}"


@verb
async def recalls(stage: Stage, player: Player, line: Line) -> None:
    await ends(player.mesh.recall(stage.sent[line.word()]), line)


@verb
async def peeks(_: Stage, player: Player, line: Line) -> None:
    held = [one async for one in player.mesh.inbox.peek()]
    assert [one.message.json() for one in held] == line.take("payloads"), f"{line.place}: {held}"
    if "states" in line.values:
        assert [one.state for one in held] == line.take("states"), f"{line.place}: {held}"


@verb
async def counts(_: Stage, player: Player, line: Line) -> None:
    found = await within(player.mesh.inbox.counts())
    for key in ("accepted", "pending", "acknowledged", "expired", "recalled"):
        assert getattr(found, key) == line.take(key, getattr(found, key)), f"{line.place}: {found}"
    assert found.dead_lettered == line.take("dead", found.dead_lettered), f"{line.place}: {found}"
    ended = found.acknowledged + found.expired + found.dead_lettered + found.recalled
    assert found.accepted == found.pending + ended


# --- definitions, topics, conversations, the log ------------------------------------------------------------------


@verb
async def publish_schema(_: Stage, player: Player, line: Line) -> None:
    await ends(player.mesh.publish_schema(line.take("name"), line.take("schema")), line)


@verb
async def publish_protocol(_: Stage, player: Player, line: Line) -> None:
    text = (REPOSITORY / line.take("file")).read_text(encoding="utf-8")
    await ends(player.mesh.publish_protocol(text), line)


@verb
async def knows(_: Stage, player: Player, line: Line) -> None:
    fetch = player.mesh.schema if line.word() == "schema" else player.mesh.protocol
    found = await ends(fetch(line.take("name")), line)
    if found is not None:
        again = await within(fetch(f"sha256-{found.name.digest}"))
        assert again.stored == found.stored, line.place


@verb
async def pin(stage: Stage, player: Player, line: Line) -> None:
    token = line.take("token", stage.node.admin_token)
    pattern, pinned = line.take("pattern"), line.take("pinned")
    if "messages" in line.values:
        retention = Retention(messages=line.take("messages"))
        await ends(player.mesh.set_topic(pattern, pinned=pinned, retention=retention, token=token), line)
    else:
        await ends(player.mesh.configure_topic(pattern, pinned=pinned, token=token), line)


@verb
async def shows(stage: Stage, player: Player, line: Line) -> None:
    conversation = stage.conversation(line.word())
    wanted = {key: line.take(key) for key in list(line.values) if key.startswith("/")}
    shown = await ends(player.mesh.show_conversation(conversation), line)
    for pointer, value in wanted.items():
        found = shown
        for part in pointer[1:].split("/"):
            found = found[int(part)] if isinstance(found, list) else found[part]
        assert found == value, f"{line.place}: {pointer} is {found}"


@verb
async def query(stage: Stage, player: Player, line: Line) -> None:
    wanted: dict[str, Any] = {key: line.take(key) for key in ("kind", "topic", "id") if key in line.values}
    if "agent" in line.values:
        wanted["agent"] = AgentId(stage.players[line.take("agent")].identity.id)
    if "conversation" in line.values:
        wanted["conversation"] = stage.conversation(line.take("conversation"))
    rows = [row async for row in player.mesh.query_log(**wanted)]
    messages = [row for row in rows if "message" in row]
    assert len(messages if "kind" not in wanted else rows) == line.take("count"), f"{line.place}: {rows}"
    if "payloads" in line.values:
        assert [row["message"]["payload"] for row in messages] == line.take("payloads"), f"{line.place}: {rows}"
