"""The client against a mock node that misbehaves in every way a test tells it to."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from peer import DONE, LEASED, RECEIPT, Peer, PeerConnection, forged, message_from

from openmesh_sdk import (
    AllowedNext,
    Closed,
    Digest,
    Gap,
    Goodbye,
    HandshakeFailed,
    Identity,
    Invalid,
    Job,
    LeaseLost,
    Malformed,
    Message,
    NoReply,
    OutcomeUnknown,
    Problem,
    ProtocolError,
    Rejected,
    TimedOut,
    TooLarge,
    Unreachable,
    fetch_domain,
)
from openmesh_sdk.connection.routes import ArrivalQueue, Arrived

STRANGER = Identity(bytes([9] * 32))


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as started:
        yield started


# --- the handshake ------------------------------------------------------------------------------------------------


async def test_nothing_is_proven_to_a_node_of_another_domain(peer: Peer) -> None:
    with pytest.raises(HandshakeFailed, match="not to the pinned"):
        await peer.connect(domain="b" + "a" * 52)
    assert peer.proven == 0


@pytest.mark.parametrize("at", [3, 60, 120, 200, -1])
async def test_a_changed_answer_ends_the_handshake(peer: Peer, at: int) -> None:
    def spoil(answer: bytes) -> bytes:
        changed = bytearray(answer)
        changed[at] ^= 1
        return bytes(changed)

    peer.spoil = spoil
    with pytest.raises(HandshakeFailed):
        await peer.connect()
    assert peer.proven == 0


async def test_a_newer_node_is_refused(peer: Peer) -> None:
    peer.version = 2
    with pytest.raises(HandshakeFailed, match="no version"):
        await peer.connect()


async def test_the_domain_of_a_node_can_be_asked_for(peer: Peer) -> None:
    assert await fetch_domain(f"tcp://127.0.0.1:{peer.port}") == peer.domain
    assert peer.proven == 0


async def test_plaintext_never_leaves_the_machine(peer: Peer) -> None:
    for url in ("tcp://192.0.2.1:7400", "ws://192.0.2.1/"):
        with pytest.raises(Unreachable, match="plaintext never leaves"):
            await peer.connect(url=url)
    for url in ("ftp://127.0.0.1:1", "127.0.0.1:7400", "tcp://127.0.0.1"):
        with pytest.raises(Malformed):
            await peer.connect(url=url)
    with pytest.raises(Unreachable, match="openmesh up"):
        await peer.connect(url="tcp://127.0.0.1:1")


async def test_a_silent_node_is_given_up(peer: Peer) -> None:
    mesh, connection = await peer.connect(keepalive=0.1, reconnect_for=0.0)
    assert (await connection.hear()).number > 0, "a ping"
    with pytest.raises(Closed, match="silent"):
        await mesh.ping()


# --- sends --------------------------------------------------------------------------------------------------------


async def test_a_receipt_counts_only_if_it_is_the_nodes_and_for_this_message(peer: Peer) -> None:
    mesh, connection = await peer.connect(reconnect_for=0.0)
    for node, digest in ((STRANGER, None), (None, Digest.of_bytes(bytes(32)))):
        sending = asyncio.create_task(mesh.send("inbox:bob", 1))
        [(tag, message)] = await connection.hear_sends()
        await connection.accept(tag, peer.receipt(digest or message.digest, node))
        with pytest.raises(OutcomeUnknown):
            await sending
    sending = asyncio.create_task(mesh.send("inbox:bob", 1))
    [(tag, message)] = await connection.hear_sends()
    await connection.accept(tag, peer.receipt(message.digest))
    sent = await sending
    assert str(sent.position) == "0.1.7"


async def test_the_same_bytes_are_sent_again_over_the_next_connection(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    sending = asyncio.create_task(mesh.send("inbox:bob", {"n": 1}))
    [(_, first)] = await connection.hear_sends()
    await connection.transport.close()
    connection = await peer.arrived()
    [(tag, second)] = await connection.hear_sends()
    assert (second.digest, second.proof) == (first.digest, first.proof)
    await connection.say(0, [[tag, [2, []]]])
    [(tag, third)] = await connection.hear_sends()
    assert third.digest == first.digest
    await connection.accept(tag, peer.receipt(first.digest))
    assert (await sending).is_kept


async def test_what_nobody_would_recognise_is_not_sent_twice(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    sending = asyncio.create_task(mesh.publish("news", 1))
    await connection.hear_sends()
    await connection.transport.close()
    with pytest.raises(OutcomeUnknown):
        await sending


async def test_an_unanswered_send_is_unknown_after_its_time(peer: Peer) -> None:
    mesh, connection = await peer.connect(send_timeout=0.2)
    with pytest.raises(OutcomeUnknown):
        await mesh.send("inbox:bob", 1)
    await connection.hear_sends()


async def test_outside_the_window_the_receipt_is_asked_for(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    sending = asyncio.create_task(mesh.send("inbox:bob", 1))
    [(tag, message)] = await connection.hear_sends()
    await connection.reject(tag, Problem("time.outside_window", "too old"))
    await connection.answer_command(RECEIPT, peer.receipt(message.digest))
    assert (await sending).is_kept
    sending = asyncio.create_task(mesh.send("inbox:bob", 2))
    [(tag, _)] = await connection.hear_sends()
    await connection.reject(tag, Problem("time.outside_window", "too old"))
    await connection.answer_command(RECEIPT, None)
    with pytest.raises(Rejected) as refused:
        await sending
    assert refused.value.code == "time.outside_window"


async def test_a_refusal_says_what_would_be_accepted(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    sending = asyncio.create_task(mesh.send("agent:bob", 1))
    [(tag, _)] = await connection.hear_sends()
    allowed = (AllowedNext("agree"), AllowedNext("propose", "market/proposal@v1.0.0", "bid"))
    problem = Problem("protocol.illegal_step", "no", "performative", "round=open", allowed, 1_500)
    await connection.reject(tag, problem)
    with pytest.raises(ProtocolError) as refused:
        await sending
    why = refused.value
    assert (why.code, why.state, why.allowed_next, why.retry_after) == (problem.code, "round=open", allowed, 1.5)
    assert "allowed next: agree, propose" in str(why)


async def test_no_more_is_in_flight_than_the_node_takes() -> None:
    async with Peer(in_flight_max=2) as peer:
        mesh, connection = await peer.connect()
        sending = [asyncio.create_task(mesh.send("inbox:bob", number)) for number in range(3)]
        heard: list[tuple[int, Message]] = []
        while len(heard) < 2:
            heard += await connection.hear_sends()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connection.hear()
        for tag, message in heard:
            await connection.accept(tag, peer.receipt(message.digest))
        [(tag, message)] = await connection.hear_sends()
        await connection.accept(tag, peer.receipt(message.digest))
        assert all(await asyncio.gather(*sending))


async def test_a_batch_has_one_signature_and_leaves_in_one_frame(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    messages = mesh.sign_batch([mesh.draft("inbox:bob", number) for number in range(5)])
    sending = asyncio.create_task(mesh.send_batch(messages))
    sends = await connection.hear_sends()
    assert [message.json() for _, message in sends] == [0, 1, 2, 3, 4]
    assert len({message.proof.signature for _, message in sends if message.proof}) == 1
    for _, message in sends:
        assert message.proof is not None
        assert message.proof.verifies(mesh.id, message.digest)
    await connection.say(0, [[tag, [3, []]] for tag, _ in sends])
    assert len(await sending) == 5


async def test_what_fits_no_frame_is_refused_before_it_is_sent(peer: Peer) -> None:
    mesh, _ = await peer.connect()
    with pytest.raises(TooLarge):
        await mesh.send("inbox:bob", bytes(1 << 20))
    with pytest.raises(Malformed):
        await mesh.send("bob", 1)
    with pytest.raises(Malformed):
        await mesh.send("inbox:bob", 1, act="shout")
    with pytest.raises(Malformed):
        await mesh.send("inbox:bob", 2**60)


async def test_every_wait_ends_with_the_connection(peer: Peer) -> None:
    mesh, connection = await peer.connect(reconnect_for=0.0)
    waits = [mesh.send("inbox:bob", 1), mesh.agents(), mesh.ping(), mesh.inbox.lease(wait=60.0)]
    tasks = [asyncio.ensure_future(one) for one in waits]
    await connection.hear_sends()
    await connection.say(4, ["node.busy", "going down"])
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in outcomes] == [OutcomeUnknown, Goodbye, Goodbye, Goodbye]
    with pytest.raises(Goodbye):
        await mesh.agents()


async def test_a_command_ends_after_its_time(peer: Peer) -> None:
    mesh, _ = await peer.connect(command_timeout=0.1)
    with pytest.raises(TimedOut):
        await mesh.agents()


async def test_what_is_no_frame_ends_the_connection(peer: Peer) -> None:
    mesh, connection = await peer.connect(reconnect_for=0.0)
    await connection.write(b"\x82\x18\x63\x00")
    with pytest.raises(Closed, match="no frame"):
        await mesh.ping()


# --- what arrives -------------------------------------------------------------------------------------------------


async def test_messages_gaps_and_forgeries_are_told_apart(peer: Peer) -> None:
    mesh, connection = await peer.connect(reconnect_for=0.0)
    subscribing = asyncio.create_task(mesh.subscribe("topic:news"))
    ask = await connection.answer_command(DONE)
    number = ask.command.fields[0]
    assert isinstance(number, int)
    subscription = await subscribing
    message = message_from(STRANGER, peer.domain, "bob", "hello")
    await connection.deliver(number, 1, message)
    await connection.say(2, [[1, number, 2, 5]])
    await connection.deliver(number, 6, forged(message))
    assert await subscription.next() == message
    assert await subscription.next() == Gap(2, 5)
    assert isinstance(await subscription.next(), Invalid)
    await connection.transport.close()
    with pytest.raises(Closed):
        await subscription.next()


async def test_a_subscription_that_resumes_says_where_something_may_be_missing(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    subscribing = asyncio.create_task(mesh.subscribe("topic:news", resume=True))
    await connection.answer_command(DONE)
    subscription = await subscribing
    await connection.transport.close()
    reading = asyncio.create_task(subscription.next())
    connection = await peer.arrived()
    ask = await connection.answer_command(DONE)
    assert await reading == Gap(1, None)
    number = ask.command.fields[0]
    assert isinstance(number, int)
    message = message_from(STRANGER, peer.domain, "bob", "hello")
    await connection.deliver(number, 1, message)
    assert await subscription.next() == message


async def test_only_the_one_who_was_asked_answers(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    asked = Identity(bytes([8] * 32))
    asking = asyncio.create_task(mesh.request(asked.id, "2+2", timeout=5.0))
    [(tag, request)] = await connection.hear_sends()
    assert "replyby" in request.attributes
    await connection.say(0, [[tag, [3, []]]])
    for sender, payload, act in ((STRANGER, 5, "inform"), (asked, None, "agree"), (asked, 4, "inform")):
        reply = message_from(sender, peer.domain, "alice", payload, act=act, in_reply_to=request.id)
        await connection.deliver(0, 1, reply)
    assert (await asking).json() == 4


async def test_a_request_without_an_answer_is_unknown(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    asking = asyncio.create_task(mesh.request("agent:bob", "2+2", timeout=0.2))
    [(tag, _)] = await connection.hear_sends()
    await connection.say(0, [[tag, [3, []]]])
    with pytest.raises(NoReply):
        await asking


async def test_a_full_queue_says_exactly_what_is_missing() -> None:
    queue = ArrivalQueue(3)
    message = Message({})

    async def numbers(count: int) -> list[tuple[int, int | None]]:
        items = [await queue.next() for _ in range(count)]
        return [(one.first, one.last) if isinstance(one, Gap) else (one.number, one.number) for one in items if one]

    for number in range(1, 11):
        queue.push(Arrived(number, message))
    assert await numbers(1) == [(1, 1)]
    queue.push(Arrived(11, message))
    assert await numbers(1) == [(2, 2)]
    queue.push(Arrived(12, message))
    queue.push(Gap(13, 20))
    queue.push(Arrived(21, message))
    assert await numbers(4) == [(3, 3), (4, 11), (12, 12), (13, 21)]
    queue.end()
    assert await queue.next() is None


# --- the inbox ----------------------------------------------------------------------------------------------------


async def lease_out(connection: PeerConnection, token: int, message: Message) -> None:
    await connection.answer_command(LEASED, [[token, token, 1, message.to_item()]])


async def test_forged_mail_is_given_back(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    leasing = asyncio.create_task(mesh.inbox.lease())
    message = message_from(STRANGER, peer.domain, "alice", "hello")
    await lease_out(connection, 7, forged(message))
    nack = await connection.answer_command(DONE)
    assert (nack.command.number, nack.command.fields) == (7, (7, [7], 0))
    assert await leasing == []


async def test_work_acknowledges_what_was_done_and_gives_back_what_failed(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    message = message_from(STRANGER, peer.domain, "alice", "hello")

    async def work() -> None:
        async for job in mesh.inbox.work():
            if job.number == 2:
                raise ValueError(job.number)

    working = asyncio.create_task(work())
    await lease_out(connection, 1, message)
    ack = await connection.answer_command(DONE)
    assert (ack.command.number, ack.command.fields) == (6, (1, [1]))
    await lease_out(connection, 2, message)
    nack = await connection.answer_command(DONE)
    assert nack.command.number == 7
    with pytest.raises(ValueError, match="2"):
        await working


async def test_a_handler_whose_lease_is_lost_is_cancelled(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    cancelled = asyncio.Event()

    async def handle(_: Job) -> None:
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    serving = asyncio.create_task(mesh.inbox.serve(handle, visibility=0.3))
    await lease_out(connection, 1, message_from(STRANGER, peer.domain, "alice", "hello"))
    extend = await connection.hear()
    assert extend.command.number == 5
    await connection.say(1, extend.tag, [1, ["lease.stale", "somebody else has it"]])
    async with asyncio.timeout(5.0):
        await cancelled.wait()
    serving.cancel()


async def test_an_ack_that_comes_too_late_says_so(peer: Peer) -> None:
    mesh, connection = await peer.connect()
    acking = asyncio.create_task(mesh.inbox.ack(3))
    frame = await connection.hear()
    await connection.say(1, frame.tag, [1, ["lease.stale", "somebody else has it"]])
    with pytest.raises(LeaseLost):
        await acking
