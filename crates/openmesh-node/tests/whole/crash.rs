//! `kill -9` under load, again and again: nothing accepted is missing, nothing stands twice, state is what the log says.

use crate::model::Model;
use crate::node::Node;
use openmesh_core::record::Record;
use openmesh_core::{Config, Partition};
use openmesh_message::{Custodian, Digest};
use openmesh_policy::Policy;
use openmesh_sdk::{
    AgentId, Envelope, KeyPair, Mesh, Performative, Sent, canonical_json, new_conversation_id,
};
use openmesh_store::open_read_only;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Kills, unless `OPENMESH_CRASH_KILLS` says otherwise.
const KILLS: usize = 100;
/// Messages accepted before each kill.
const ACCEPTED_PER_KILL: u64 = 1_050;
/// Time each kill lets agents work at least.
const ROUND_MIN: Duration = Duration::from_millis(250);
const TENDER_MS: i64 = 150;
/// How long some of the mail waits in its inbox.
const DELAY_MS: i64 = 300;
const BATCH: usize = 64;

/// What the agents know: what was sent, and what they were told of it.
#[derive(Default)]
struct Ledger {
    sent: BTreeMap<(AgentId, String), Digest>,
    accepted: BTreeMap<(AgentId, String), u64>,
    unknown: Vec<Envelope>,
}

struct Load {
    ledger: Mutex<Ledger>,
    accepted: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    fn note(&self, envelope: Envelope, sent: &Sent) {
        let source: AgentId = envelope.attributes.get("source").unwrap().parse().unwrap();
        let key = (source, envelope.attributes.get("id").unwrap().to_owned());
        let mut ledger = self.ledger.lock().unwrap();
        match sent {
            Sent::Accepted(receipt) => {
                let position = receipt.receipt.position.unwrap();
                if let Some(before) = ledger.accepted.insert(key, position.seq) {
                    assert_eq!(before, position.seq, "one message, one position");
                }
                self.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Sent::Unknown => ledger.unknown.push(envelope),
            other => panic!("an honest message was refused: {other:?}"),
        }
    }

    fn noted(&self, envelopes: &[Envelope]) {
        let mut ledger = self.ledger.lock().unwrap();
        for envelope in envelopes {
            let source: AgentId = envelope.attributes.get("source").unwrap().parse().unwrap();
            ledger
                .sent
                .insert((source, envelope.attributes.get("id").unwrap().to_owned()), envelope.digest());
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Sends batches to a pinned topic and to the worker's inbox until the node dies; some mail is to wait, and some is
/// called back.
async fn send_batches(mesh: Mesh, load: Arc<Load>) {
    while load.goes_on() {
        let drafts = (0..BATCH).map(|n| {
            let to = if n % 4 == 0 { "inbox:worker" } else { "topic:market/load" };
            let draft = mesh.draft(to, &Performative::Inform).unwrap().payload("text/plain", vec![b'x'; 200]);
            if n % 16 == 4 { draft.not_before(openmesh_sdk::now().plus_ms(DELAY_MS)) } else { draft }
        });
        let envelopes = mesh.sign_batch(drafts.collect()).unwrap();
        load.noted(&envelopes);
        let Ok(sent) = mesh.send_batch(envelopes.clone()).await else { return };
        let waiting = envelopes.iter().zip(&sent).find(|(envelope, sent)| {
            envelope.attributes.get("notbefore").is_some() && sent.receipt().is_some()
        });
        if let Some((envelope, receipt)) =
            waiting.and_then(|(envelope, sent)| Some((envelope, sent.receipt()?)))
        {
            // It may come too late, or find the node dead: the log tells.
            let _ = mesh.recall(receipt, envelope.attributes.get("id").unwrap()).await;
        }
        for (envelope, sent) in envelopes.into_iter().zip(&sent) {
            load.note(envelope, sent);
        }
        if sent.iter().any(|sent| matches!(sent, Sent::Unknown)) {
            return;
        }
    }
}

/// Leases mail, acknowledges most of it and gives some back.
async fn work(mesh: Mesh, load: Arc<Load>) {
    let inbox = mesh.inbox();
    while load.goes_on() {
        let Ok(leased) = inbox.lease(64, Duration::from_secs(2), Duration::from_millis(100)).await else {
            return;
        };
        let Some(first) = leased.first() else { continue };
        let token = first.token;
        let (back, done): (Vec<u64>, Vec<u64>) =
            leased.iter().map(|message| message.number).partition(|n| n % 7 == 0);
        let delay = Duration::from_millis(50);
        if !back.is_empty() && inbox.nack(token, &back, delay).await.is_err() {
            return;
        }
        if !done.is_empty() && inbox.ack(token, &done).await.is_err() {
            return;
        }
    }
}

/// Calls for proposals that nobody answers, one after another: their timers fire, some while the node is down.
async fn converse(mesh: Mesh, load: Arc<Load>) {
    // The kill may strike before these are answered.
    let Ok(protocol) = mesh.get_protocol("market/negotiation@^1").await else { return };
    let Ok(schema) = mesh.get_schema("market/rfp@^1").await else { return };
    let (protocol, schema) = (protocol.name, schema.name);
    while load.goes_on() {
        let conversation = new_conversation_id().unwrap();
        let rfp = serde_json::json!({
            "id": conversation, "title": "pencils", "items": [{"id": "1", "description": "pencil", "quantity": 1}],
            "value": {"amount": 100, "currency": "EUR"},
            "tenderPeriod": {"endDate": openmesh_sdk::now().plus_ms(TENDER_MS).to_string()},
        });
        let draft = mesh.draft("topic:market/rfp", &Performative::Cfp).unwrap().schema(&schema);
        let draft = draft.conversation(&protocol, &conversation).json(canonical_json(&rfp).unwrap());
        let envelope = mesh.sign(draft).unwrap();
        load.noted(std::slice::from_ref(&envelope));
        let Ok(sent) = mesh.send(envelope.clone()).await else { return };
        load.note(envelope, &sent);
        if matches!(sent, Sent::Unknown) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Agents {
    worker: Arc<KeyPair>,
    senders: Vec<Arc<KeyPair>>,
    asker: Arc<KeyPair>,
}

/// Lets load run until enough was accepted, then kills the node in the middle of it.
async fn load_and_kill(node: &mut Node, agents: &Agents, load: &Arc<Load>, enough: u64) {
    load.stop.store(false, Ordering::Relaxed);
    let mut tasks = tokio::task::JoinSet::new();
    for key in &agents.senders {
        tasks.spawn(send_batches(node.connect(key).await, Arc::clone(load)));
    }
    tasks.spawn(work(node.connect(&agents.worker).await, Arc::clone(load)));
    tasks.spawn(converse(node.connect(&agents.asker).await, Arc::clone(load)));
    let until = Instant::now() + Duration::from_secs(60);
    tokio::time::sleep(ROUND_MIN).await;
    while load.accepted.load(Ordering::Relaxed) < enough && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    node.kill();
    load.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

/// Sends again whatever ended as unknown: each gets one position.
async fn resend_unknown(node: &Node, keys: &BTreeMap<AgentId, Arc<KeyPair>>, load: &Load) -> usize {
    let unknown = std::mem::take(&mut load.ledger.lock().unwrap().unknown);
    let count = unknown.len();
    let mut by_sender: BTreeMap<AgentId, Vec<Envelope>> = BTreeMap::new();
    for envelope in unknown {
        let source: AgentId = envelope.attributes.get("source").unwrap().parse().unwrap();
        by_sender.entry(source).or_default().push(envelope);
    }
    for (source, envelopes) in by_sender {
        let mesh = node.connect(&keys[&source]).await;
        let sent = mesh.send_batch(envelopes.clone()).await.unwrap();
        for (envelope, sent) in envelopes.into_iter().zip(&sent) {
            assert!(sent.is_accepted(), "{sent:?}");
            load.note(envelope, sent);
        }
        mesh.close().await;
    }
    count
}

/// Reads the log from where the model stands, and compares model, ledger and recovered state.
fn check(node: &Node, model: &mut Model, load: &Load) {
    let (reader, report) = open_read_only(&node.log()).unwrap();
    assert!(report.report.corrupt.is_empty(), "{}", report.report);
    if model.last_seq > 0 {
        let last = reader.get(model.last_seq).unwrap().expect("what was read before is still there");
        assert_eq!(Some(last.chain), model.last_chain, "the chain up to there is the same");
    }
    for stored in reader.records(model.last_seq + 1) {
        let stored = stored.unwrap();
        let record = Record::decode(&stored.header, &stored.salt, &stored.body).unwrap();
        model.read(&record);
        model.last_chain = Some(stored.chain);
    }
    let ledger = load.ledger.lock().unwrap();
    for ((sender, id), seq) in &ledger.accepted {
        let kept = model.position_of(sender, id);
        let (digest, at) = kept.unwrap_or_else(|| panic!("{id} was accepted at {seq} and is missing"));
        assert_eq!((at, digest), (*seq, ledger.sent[&(*sender, id.clone())]));
    }
    for key in model.messages() {
        assert!(ledger.sent.contains_key(key), "{key:?} is in the log and was never sent");
    }
    drop(ledger);
    let config = Config::new(node.endpoint.domain, Digest::ZERO, [0; 32], Custodian::new([0; 32]));
    let (mut partition, after) = match &report.snapshot {
        Some(snapshot) => {
            let restored = Partition::restore(config, Policy::default_closed(), &snapshot.state).unwrap();
            (restored, snapshot.position.seq)
        }
        None => (Partition::new(config, Policy::default_closed()), 0),
    };
    for stored in reader.records(after + 1) {
        let stored = stored.unwrap();
        partition.recover(&Record::decode(&stored.header, &stored.salt, &stored.body).unwrap());
    }
    model.compare(partition.state());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_under_load_lose_nothing_that_was_accepted() {
    let kills =
        std::env::var("OPENMESH_CRASH_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut node = Node::start(&["--pin", "market/**", "--snapshot-records", "4000"]);
    let (worker, _) = node.agent("worker").await;
    let (asker, _) = node.agent("asker").await;
    let mut senders = Vec::new();
    for name in ["sender-1", "sender-2", "sender-3"] {
        senders.push(node.agent(name).await.0);
    }
    let keys = senders.iter().chain([&worker, &asker]).map(|key| (key.id(), Arc::clone(key))).collect();
    let agents = Agents { worker: Arc::clone(&worker), senders, asker };
    let load = Arc::new(Load {
        ledger: Mutex::default(),
        accepted: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let mut model = Model::default();
    let mut resent = 0;
    for kill in 1..=kills as u64 {
        load_and_kill(&mut node, &agents, &load, kill * ACCEPTED_PER_KILL).await;
        check(&node, &mut model, &load);
        node.restart();
        resent += resend_unknown(&node, &keys, &load).await;
        let counts = node.connect(&worker).await.inbox().counts().await.unwrap();
        assert!(counts.is_conserved(), "{counts:?}");
    }
    node.stop();
    check(&node, &mut model, &load);
    let accepted = load.ledger.lock().unwrap().accepted.len();
    println!(
        "{kills} kills: {accepted} accepted, 0 missing, {resent} unknown resent, {} records",
        model.last_seq
    );
    assert!(accepted as u64 >= kills as u64 * 1_000);
    println!("records by kind: {:?}", model.kinds);
    for kind in ["message", "fired", "leased", "settled", "epoch"] {
        assert!(model.kinds[kind] >= kills as u64, "hardly any record of kind {kind}: nothing was tested");
    }
    assert!(resent > 0, "the kills must have struck in the middle of sends, or nothing was tested");
}
