//! Frames of one connection in each direction, with interned values, and bytes that are no frame.

use crate::fixture::{TIME, agent, envelope, hex, key, message, topic};
use openmesh_message::frame::{
    ClientFrame, Command, Delivery, FrameDecoder, FrameEncoder, HeldState, InboxCounts, Leased, LogFilter,
    LogPage, PeekPage, Peeked, Reply, Retention, SendOutcome, ServerFrame, Start, StreamAct, StreamEvent,
    Verdict, body_length,
};
use openmesh_message::{
    AllowedNext, Digest, Draft, Envelope, Level, LogName, LogSeq, PartitionId, Performative, Position,
    Priority, Problem, Receipt, ReceiptRun, SignedReceipt, Transit,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn frames() -> Value {
    json!({
        "what": "whole frames (length and body) of one connection in order, and what they say; bytes refused",
        "client": client(),
        "server": server(),
        "bad client": bad(|body| FrameDecoder::default().decode_client(body).is_err(), bad_client()),
        "bad server": bad(|body| FrameDecoder::default().decode_server(body).is_err(), bad_server()),
        "bad lengths": [hex((1_048_577_u32).to_be_bytes()), hex([0xff; 4])],
    })
}

fn client() -> Vec<Value> {
    let request = Draft::new("r-1", TIME, &agent("seller"), &Performative::Request)
        .reply_by(TIME.plus_ms(5_000))
        .extension("acmecolour", "blue");
    let (first, second, unsigned) = (message("m-1"), message("m-2"), request.unsigned(&key(4).id()).unwrap());
    let send = |messages: &[(u64, Envelope)]| {
        let said: Vec<_> =
            messages.iter().map(|(tag, message)| json!({"tag": tag, "message": envelope(message)})).collect();
        (ClientFrame::Send(messages.to_vec()), json!({"send": said}))
    };
    let mut frames = vec![
        send(&[(1, first.clone())]),
        send(&[(2, second), (3, unsigned)]),
        send(&[(1 << 40, first)]),
        (ClientFrame::Ping(7), json!({"ping": 7})),
    ];
    let command = |command| {
        let said = json!({"command": {"tag": 9, "number": number(&command)}});
        (ClientFrame::Command(9, command), said)
    };
    frames.extend(commands().into_iter().map(command));
    frames.push((ClientFrame::Stream(acts()), json!({"stream": acts_said()})));
    let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
    let one = |(frame, said): (ClientFrame, Value)| {
        let mut bytes = Vec::new();
        encoder.encode_client(&frame, &mut bytes).unwrap();
        assert_eq!(decoder.decode_client(&bytes[4..]).unwrap(), frame);
        json!({"bytes": hex(bytes), "frame": said})
    };
    frames.into_iter().map(one).collect()
}

/// The number of a variant, which stands first in its encoding.
fn number(variant: &impl minicbor::Encode<()>) -> u64 {
    let bytes = minicbor::to_vec(variant).unwrap();
    let mut decoder = minicbor::Decoder::new(&bytes);
    decoder.array().unwrap();
    decoder.u64().unwrap()
}

/// One of each command, in the order of their numbers.
fn commands() -> Vec<Command> {
    let text = |text: &str| text.to_owned();
    let filter = LogFilter {
        agent: Some(key(4).id()),
        kind: Some(text("message")),
        message_type: Some(text("market/rfp")),
        performative: Some(text("cfp")),
        verdict: Some(Verdict::Accepted),
        since: Some(TIME),
        ..LogFilter::default()
    };
    vec![
        Command::Subscribe { subscription: 1, pattern: topic("a").to_string(), start: Start::At(5) },
        Command::Unsubscribe { subscription: 1 },
        Command::Register { name: text("buyer"), token: None },
        Command::ListAgents,
        Command::Lease { messages_max: 10, visibility_ms: 30_000, wait_ms: 20_000, least: None },
        Command::Extend { token: 3, visibility_ms: 30_000 },
        Command::Ack { token: 3, numbers: vec![1, 2] },
        Command::Nack { token: 3, numbers: Vec::new(), delay_ms: 1_000 },
        Command::CountInbox,
        Command::PublishSchema { name: text("acme/bid@v1.0.0"), definition: text("{}") },
        Command::PublishProtocol { definition: text("protocol: acme/sale@v1.0.0") },
        Command::GetSchema { name: text("market/rfp@^1") },
        Command::GetProtocol { name: text("market/negotiation") },
        Command::ListDefinitions,
        Command::ConfigureTopic { topic: text("topic:news/**"), pinned: true, token: Some(text("secret")) },
        Command::ListConversations,
        Command::ShowConversation { conversation: text("0190c9a0-0000-7000-8000-000000000001") },
        Command::QueryLog {
            filter: Box::new(filter),
            after_seq: 100,
            records_max: 50,
            wait_ms: 30_000,
            newest_first: false,
        },
        Command::GetReceipt { message: Digest::of(b"message"), id: text("m-1") },
        Command::ReloadPolicy { token: text("secret") },
        Command::Peek { after_number: 12, messages_max: 50 },
        Command::Recall {
            recipient: key(5).id(),
            number: 12,
            message: Digest::of(b"message"),
            id: text("m-1"),
        },
        Command::SetTopic {
            topic: text("topic:news/**"),
            pinned: true,
            retention: Retention { age_ms: Some(86_400_000), bytes: None, messages: Some(1_000) },
            expected_version: Some(7),
            token: None,
        },
        Command::ListTopics,
        Command::Lease { messages_max: 1, visibility_ms: 5, wait_ms: 6, least: Some(Priority::Urgent) },
        Command::GetTopic { topic: text("topic:news/**"), after: Some(text("news/a")), topics_max: 100 },
        Command::Subscribe { subscription: 2, pattern: topic("a").to_string(), start: Start::Since(TIME) },
    ]
}

fn server() -> Vec<Value> {
    let kept = stamped("m-1");
    let deliveries = vec![
        Delivery::Message { subscription: 1, number: 1, envelope: Arc::new(kept.clone()) },
        Delivery::Gap { subscription: 1, first: 2, last: 40 },
        Delivery::Message { subscription: 0, number: 1, envelope: Arc::new(message("m-2")) },
    ];
    let said = json!({"deliver": [
        {"subscription": 1, "number": 1, "message": envelope(&kept)},
        {"subscription": 1, "gap": [2, 40]},
        {"subscription": 0, "number": 1, "message": envelope(&message("m-2"))},
    ]});
    let outcomes = vec![
        (1, SendOutcome::Accepted(receipt())),
        (2, SendOutcome::Rejected(problem())),
        (3, SendOutcome::Unknown),
        (4, SendOutcome::Passed),
    ];
    let outcomes_said = json!({"outcomes": [
        {"tag": 1, "accepted": hex(minicbor::to_vec(receipt()).unwrap())},
        {"tag": 2, "rejected": problem()},
        {"tag": 3, "unknown": true},
        {"tag": 4, "passed": true},
    ]});
    let mut frames = vec![
        (ServerFrame::Pong(0), json!({"pong": 0})),
        (ServerFrame::Outcomes(outcomes), outcomes_said),
        run(),
        (ServerFrame::Deliver(deliveries.clone()), said.clone()),
        (ServerFrame::Deliver(deliveries), said),
        (ServerFrame::Goodbye(Problem::new("frame.malformed", "why")), json!({"goodbye": "frame.malformed"})),
    ];
    let reply = |reply| {
        let said = json!({"reply": {"tag": 5, "number": number(&reply)}});
        (ServerFrame::Reply(5, Ok(reply)), said)
    };
    frames.extend(replies().into_iter().map(reply));
    frames.push((ServerFrame::Reply(6, Err(problem())), json!({"reply": {"tag": 6, "problem": problem()}})));
    frames.push((ServerFrame::Stream(events()), json!({"stream": events_said()})));
    frames.push((ServerFrame::Passed(7, 300), json!({"passed": [7, 300]})));
    let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
    let one = |(frame, said): (ServerFrame, Value)| {
        let mut bytes = Vec::new();
        encoder.encode_server(&frame, &mut bytes).unwrap();
        assert_eq!(decoder.decode_server(&bytes[4..]).unwrap(), frame);
        json!({"bytes": hex(bytes), "frame": said})
    };
    frames.into_iter().map(one).collect()
}

/// One of each act of a stream, in the order of their numbers.
fn acts() -> Vec<StreamAct> {
    let id = || "m-1".to_owned();
    vec![
        StreamAct::Write { stream: 4, id: id(), from: 1_024 },
        StreamAct::Read { stream: 5, sender: key(4).id(), id: id(), from: 1_024, window: 262_144 },
        StreamAct::Item { stream: 4, run: 2, offset: 1_024, item: b"token".to_vec().into() },
        StreamAct::Credit { stream: 5, consumed: 1_541 },
        StreamAct::Fin { stream: 4, run: 2, offset: 1_541 },
        StreamAct::Done { stream: 5 },
        StreamAct::Reset { stream: 4, reason: "enough".to_owned() },
    ]
}

fn acts_said() -> Value {
    json!([
        {"write": {"stream": 4, "id": "m-1", "from": 1_024}},
        {"read": {"stream": 5, "sender": hex(key(4).id().public_key()), "id": "m-1", "from": 1_024, "window": 262_144}},
        {"item": {"stream": 4, "run": 2, "offset": 1_024, "item": hex("token")}},
        {"credit": {"stream": 5, "consumed": 1_541}},
        {"fin": {"stream": 4, "run": 2, "offset": 1_541}},
        {"done": {"stream": 5}},
        {"reset": {"stream": 4, "reason": "enough"}},
    ])
}

/// One of each event of a stream, in the order of their numbers.
fn events() -> Vec<StreamEvent> {
    vec![
        StreamEvent::Go { stream: 4, run: 2, from: 1_024, consumed: 512, window: 262_144 },
        StreamEvent::Refused { stream: 5, problem: Box::new(problem()) },
        StreamEvent::Item { stream: 5, offset: 1_024, item: b"token".to_vec().into() },
        StreamEvent::Credit { stream: 4, consumed: 1_541 },
        StreamEvent::Fin { stream: 5, offset: 1_541 },
        StreamEvent::Done { stream: 4 },
        StreamEvent::Reset { stream: 5, problem: Box::new(problem()) },
    ]
}

fn events_said() -> Value {
    json!([
        {"go": {"stream": 4, "run": 2, "from": 1_024, "consumed": 512, "window": 262_144}},
        {"refused": {"stream": 5, "problem": problem()}},
        {"item": {"stream": 5, "offset": 1_024, "item": hex("token")}},
        {"credit": {"stream": 4, "consumed": 1_541}},
        {"fin": {"stream": 5, "offset": 1_541}},
        {"done": {"stream": 4}},
        {"reset": {"stream": 5, "problem": problem()}},
    ])
}

/// One of each reply, in the order of their numbers.
fn replies() -> Vec<Reply> {
    let name = format!("openmesh/market/rfp@v1.0.0#sha256-{}", Digest::ZERO);
    let counts =
        InboxCounts { accepted: 10, pending: 1, acknowledged: 5, expired: 2, dead_lettered: 1, recalled: 1 };
    let peeked = |number, state| Peeked {
        number,
        attempts: 1,
        priority: Priority::Urgent,
        state,
        envelope: stamped("m-1"),
    };
    vec![
        Reply::Done,
        Reply::Leased(vec![Leased { token: 3, number: 12, attempt: 1, envelope: stamped("m-1") }]),
        Reply::Inbox(counts),
        Reply::Definition { name, stored: "{}".to_owned() },
        Reply::Log(LogPage {
            records: vec!["{}".to_owned()],
            next_after_seq: Some(9),
            index_building: Some(250),
        }),
        Reply::Rows(vec!["{}".to_owned()]),
        Reply::Receipt(Some(Box::new(receipt()))),
        Reply::Peeked(PeekPage {
            entries: vec![
                peeked(12, HeldState::Ready),
                peeked(13, HeldState::Delayed(TIME)),
                peeked(14, HeldState::Leased(TIME)),
            ],
            next_after_number: Some(14),
        }),
    ]
}

fn stamped(id: &str) -> Envelope {
    let position = Position { partition: PartitionId(0), epoch: 1, seq: 300 };
    let logs = vec![LogSeq { log: LogName("topic/market/news".into()), seq: 12 }];
    let transit =
        Transit { position: Some(position), logs, receivedtime: Some(TIME.plus_ms(5)), ..Transit::default() };
    Envelope { transit, ..message(id) }
}

/// Three of six receipts of a commit, so that a node on each side is needed.
fn run() -> (ServerFrame, Value) {
    let one = |n: u64| (20 + n, Receipt { digest: Digest::of(&n.to_be_bytes()), ..unsigned_receipt() });
    let before = vec![one(0)];
    let run = ReceiptRun::sign_all(&key(3), vec![before, (1..4).map(one).collect(), vec![one(4), one(5)]]);
    let run = run.into_iter().nth(1).unwrap();
    let signed = run.clone().open().unwrap().receipts.into_iter().map(|(tag, receipt)| {
        assert!(receipt.verifies(&key(3).id()));
        json!({"tag": tag, "accepted": hex(minicbor::to_vec(receipt).unwrap())})
    });
    let said = json!({"receipts": signed.collect::<Vec<_>>()});
    (ServerFrame::Receipts(run), said)
}

fn receipt() -> SignedReceipt {
    SignedReceipt::sign_all(&key(3), vec![unsigned_receipt()]).remove(0)
}

fn unsigned_receipt() -> Receipt {
    Receipt {
        digest: message("m-1").digest(),
        level: Level::Durable,
        position: stamped("m-1").transit.position,
        logs: stamped("m-1").transit.logs,
        duplicate: false,
        policy_version: Digest::of(b"policy"),
        at: TIME.plus_ms(5),
    }
}

fn problem() -> Problem {
    let next =
        AllowedNext { performative: "inform".to_owned(), schema: None, instance: Some("round".to_owned()) };
    Problem {
        state: Some("round=agreed".to_owned()),
        allowed_next: vec![next],
        ..Problem::new("protocol.illegal_step", "not in this state")
    }
}

fn bad_client() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", vec![]),
        ("no list", vec![0x02]),
        ("a kind that does not exist", vec![0x82, 0x17, 0x00]),
        ("an act of a stream that does not exist", vec![0x82, 0x03, 0x81, 0x82, 0x07, 0x81, 0x01]),
        ("1,025 acts of streams", vec![0x82, 0x03, 0x99, 0x04, 0x01]),
        ("a ping with two numbers", vec![0x83, 0x02, 0x00, 0x00]),
        ("bytes after the frame", vec![0x82, 0x02, 0x00, 0x00]),
        ("a list of indefinite length", vec![0x9f, 0x02, 0x00, 0xff]),
        ("1,025 messages", vec![0x82, 0x00, 0x99, 0x04, 0x01]),
        (
            "a value that was never defined",
            vec![0x82, 0x00, 0x81, 0x85, 0x01, 0xa1, 0x01, 0x00, 0x40, 0xf6, 0x82, 0xf6, 0x80],
        ),
        (
            "an attribute number that does not exist",
            vec![0x82, 0x00, 0x81, 0x85, 0x01, 0xa1, 0x18, 0x63, 0x61, 0x31, 0x40, 0xf6, 0x82, 0xf6, 0x80],
        ),
        (
            "a definition of a value that is not interned: an id",
            vec![0x82, 0x00, 0x81, 0x85, 0x01, 0xa1, 0x00, 0x81, 0x61, 0x31, 0x40, 0xf6, 0x82, 0xf6, 0x80],
        ),
    ]
}

fn bad_server() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a kind that does not exist", vec![0x82, 0x17, 0x00]),
        ("an event of a stream that does not exist", vec![0x82, 0x06, 0x81, 0x82, 0x07, 0x81, 0x01]),
        ("a delivery of a kind that does not exist", vec![0x82, 0x02, 0x81, 0x84, 0x02, 0x01, 0x01, 0x01]),
        ("bytes after the frame", vec![0x82, 0x03, 0x00, 0x00]),
    ]
}

fn bad(is_refused: impl Fn(&[u8]) -> bool, cases: Vec<(&'static str, Vec<u8>)>) -> Vec<Value> {
    assert!(body_length([0, 0x10, 0, 1]).is_err() && body_length([0, 0x10, 0, 0]).is_ok());
    let one = |(what, body): (&str, Vec<u8>)| {
        assert!(is_refused(&body), "{what}");
        json!({"what": what, "body": hex(body)})
    };
    cases.into_iter().map(one).collect()
}
