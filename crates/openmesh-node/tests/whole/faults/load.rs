//! Agents at work until their node dies: they send, work off mail, call for proposals and read a topic, and everything
//! they see is witnessed.

use super::witness::{Witness, told};
use crate::node::Node;
use openmesh_message::frame::Start;
use openmesh_sdk::{
    AgentId, Envelope, Item, KeyPair, Mesh, Performative, Sent, canonical_json, new_conversation_id,
};
use openmesh_simulator::history::Event;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Time each round lets agents work at least.
const ROUND_MIN: Duration = Duration::from_millis(250);
/// How long a round waits for what it is to have accepted.
const ROUND_MAX: Duration = Duration::from_secs(60);
/// A node that lets nobody in has ended within this time.
const DEATH_MAX: Duration = Duration::from_secs(10);
const TENDER_MS: i64 = 150;
/// How long some of the mail waits in its inbox.
const DELAY_MS: i64 = 300;
const BATCH: usize = 64;
const BODY_BYTES: usize = 200;
/// A reader has come to the end when nothing comes for so long.
const QUIET: Duration = Duration::from_millis(700);
/// The topic that senders send to and the reader reads.
const TOPIC: &str = "topic:market/load";
const READER: &str = "reader";

/// What a load is made of, over all rounds.
pub(crate) struct Load {
    pub(crate) witness: Witness,
    pub(crate) agents: Agents,
    accepted: AtomicU64,
    stop: AtomicBool,
    unknown: Mutex<Vec<Envelope>>,
    /// The last record that the reader was handed.
    read_through: AtomicU64,
    /// Refusals that the fault at hand explains begin so.
    explained: &'static str,
}

/// Who is at work.
pub(crate) struct Agents {
    senders: Vec<Arc<KeyPair>>,
    pub(crate) worker: Arc<KeyPair>,
    asker: Arc<KeyPair>,
    reader: Arc<KeyPair>,
}

impl Load {
    /// Registers the agents; none of what they send may be refused.
    pub(crate) async fn prepare(node: &Node, name: &str) -> Arc<Self> {
        Self::prepare_for(node, name, "none").await
    }

    /// The same, where a fault explains refusals whose codes begin so.
    pub(crate) async fn prepare_for(node: &Node, name: &str, explained: &'static str) -> Arc<Self> {
        let mut senders = Vec::new();
        for name in ["sender-1", "sender-2", "sender-3"] {
            senders.push(node.agent(name).await.0);
        }
        let agents = Agents {
            senders,
            worker: node.agent("worker").await.0,
            asker: node.agent("asker").await.0,
            reader: node.agent("reader").await.0,
        };
        Arc::new(Self {
            witness: Witness::new(name),
            agents,
            accepted: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            unknown: Mutex::default(),
            read_through: AtomicU64::new(0),
            explained,
        })
    }

    /// Lets the agents work until so many more messages are accepted, then `die` ends the node; returns when everybody
    /// has noticed.
    pub(crate) async fn work_until(
        self: &Arc<Self>,
        node: &mut Node,
        more: u64,
        die: impl FnOnce(&mut Node),
    ) {
        self.stop.store(false, Ordering::Relaxed);
        let enough = self.accepted.load(Ordering::Relaxed) + more;
        // All are connected before the first works: the node may die of its first sync.
        let mut meshes = self.connect_everybody(node).await.into_iter();
        let mut tasks = tokio::task::JoinSet::new();
        if let Some(((worker, asker), reader)) = meshes.next().zip(meshes.next()).zip(meshes.next()) {
            tasks.spawn(work(worker, Arc::clone(self)));
            tasks.spawn(converse(asker, Arc::clone(self)));
            tasks.spawn(read(reader, Arc::clone(self)));
        }
        for sender in meshes {
            tasks.spawn(send_batches(sender, Arc::clone(self)));
        }
        let until = Instant::now() + ROUND_MAX;
        tokio::time::sleep(ROUND_MIN).await;
        let is_short = || self.accepted.load(Ordering::Relaxed) < enough;
        while is_short() && !node.has_ended() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        die(node);
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    }

    /// Those who work with mail, conversations and topics, and the senders; nobody where the node has died.
    async fn connect_everybody(&self, node: &mut Node) -> Vec<Mesh> {
        let Agents { senders, worker, asker, reader } = &self.agents;
        let mut meshes = Vec::new();
        for key in [worker, asker, reader].into_iter().chain(senders) {
            match Mesh::connect(&node.options(key)).await {
                Ok(mesh) => meshes.push(mesh),
                Err(error) => {
                    let has_died = node.ended_within(DEATH_MAX).is_some();
                    assert!(has_died, "a node that lives lets everybody in: {error}");
                    return Vec::new();
                }
            }
        }
        meshes
    }

    /// Sends again whatever ended as unknown: each gets one position.
    pub(crate) async fn resend_unknown(&self, node: &Node) -> usize {
        let unknown = std::mem::take(&mut *self.unknown.lock().unwrap());
        let count = unknown.len();
        let mut by_sender: BTreeMap<AgentId, Vec<Envelope>> = BTreeMap::new();
        for envelope in unknown {
            let source: AgentId = envelope.attributes.get("source").unwrap().parse().unwrap();
            by_sender.entry(source).or_default().push(envelope);
        }
        for (source, envelopes) in by_sender {
            let mesh = node.connect(self.agents.key(&source)).await;
            let connection = self.witness.connection();
            for envelope in &envelopes {
                self.witness.sent(connection, envelope);
            }
            let sent = mesh.send_batch(envelopes.clone()).await.unwrap();
            for (envelope, sent) in envelopes.into_iter().zip(&sent) {
                assert!(sent.is_accepted(), "{sent:?}");
                self.note(envelope, sent);
            }
            mesh.close().await;
        }
        count
    }

    /// Reads the counts of the worker's inbox.
    pub(crate) async fn count_inbox(&self, node: &Node) {
        let mesh = node.connect(&self.agents.worker).await;
        let counts = mesh.inbox().counts().await.unwrap();
        self.witness.counts(&self.agents.worker.id(), &counts);
        mesh.close().await;
    }

    /// Lets the reader read on until nothing more comes: it must then have been handed everything.
    pub(crate) async fn read_to_the_end(&self, node: &Node) {
        let mesh = node.connect(&self.agents.reader).await;
        let mut subscription = self.begin_to_read(&mesh).await.unwrap();
        while let Ok(Some(item)) = tokio::time::timeout(QUIET, subscription.next()).await {
            if !self.take(&item) {
                subscription = self.begin_to_read(&mesh).await.unwrap();
            }
        }
        self.witness.note(&Event::Finished { consumer: READER.to_owned() });
    }

    async fn begin_to_read(&self, mesh: &Mesh) -> Option<openmesh_sdk::Subscription> {
        let after = self.read_through.load(Ordering::Relaxed);
        let subscription = mesh.subscribe(TOPIC, Start::At(after + 1)).await.ok()?;
        self.witness.note(&Event::Began { consumer: READER.to_owned() });
        Some(subscription)
    }

    /// Takes what the reader was handed; `false` where it fell behind itself and has to read on from where it was.
    fn take(&self, item: &Item) -> bool {
        let Item::Message { envelope, .. } = item else { return false };
        self.witness.delivered(READER, item);
        let seq = envelope.transit.position.unwrap().seq;
        self.read_through.store(seq, Ordering::Relaxed);
        true
    }

    fn note(&self, envelope: Envelope, sent: &Sent) {
        self.witness.outcome(&envelope, sent);
        match sent {
            Sent::Accepted(_) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Sent::Unknown => self.unknown.lock().unwrap().push(envelope),
            Sent::Rejected(problem) if problem.code.starts_with(self.explained) => {}
            other => panic!("an honest message was refused: {other:?}"),
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

impl Agents {
    fn key(&self, id: &AgentId) -> &Arc<KeyPair> {
        let others = [&self.worker, &self.asker, &self.reader];
        self.senders.iter().chain(others).find(|key| key.id() == *id).unwrap()
    }
}

/// Sends batches to a pinned topic and to the worker's inbox until the node dies; some mail is to wait, and some is
/// called back.
async fn send_batches(mesh: Mesh, load: Arc<Load>) {
    let connection = load.witness.connection();
    while load.goes_on() {
        let drafts = (0..BATCH).map(|n| {
            let to = if n % 4 == 0 { "inbox:worker" } else { TOPIC };
            let draft = mesh.draft(to, &Performative::Inform).unwrap();
            let draft = draft.payload("text/plain", vec![b'x'; BODY_BYTES]);
            if n % 16 == 4 { draft.not_before(openmesh_sdk::now().plus_ms(DELAY_MS)) } else { draft }
        });
        let envelopes = mesh.sign_batch(drafts.collect()).unwrap();
        for envelope in &envelopes {
            load.witness.sent(connection, envelope);
        }
        let Ok(sent) = mesh.send_batch(envelopes.clone()).await else {
            // None was sent.
            let refused = envelopes.iter().map(|envelope| (envelope, &Sent::Unknown));
            refused.for_each(|(envelope, sent)| load.witness.outcome(envelope, sent));
            return;
        };
        let waiting = envelopes.iter().zip(&sent).find_map(|(envelope, sent)| {
            envelope.attributes.get("notbefore")?;
            Some((envelope.attributes.get("id")?.to_owned(), sent.receipt()?.clone()))
        });
        for (envelope, sent) in envelopes.into_iter().zip(&sent) {
            load.note(envelope, sent);
        }
        if let Some((id, receipt)) = waiting {
            // It may come too late, or find the node dead.
            let recalled = mesh.recall(&receipt, &id).await;
            let (agent, number) = receipt.receipt.inbox().unwrap();
            let (agent, outcome) = (agent.to_string(), told(&recalled));
            load.witness.note(&Event::CalledBack { agent, number, outcome });
        }
        if sent.iter().any(|sent| matches!(sent, Sent::Unknown)) {
            return;
        }
    }
}

/// Leases mail, acknowledges most of it and gives some back.
async fn work(mesh: Mesh, load: Arc<Load>) {
    let (inbox, agent) = (mesh.inbox(), mesh.id());
    while load.goes_on() {
        let Ok(leased) = inbox.lease(BATCH as u32, Duration::from_secs(2), Duration::from_millis(100)).await
        else {
            return;
        };
        load.witness.leased(&agent, &leased);
        let Some(first) = leased.first() else { continue };
        let token = first.token;
        let (back, done): (Vec<u64>, Vec<u64>) =
            leased.iter().map(|message| message.number).partition(|n| n % 7 == 0);
        let delay = Duration::from_millis(50);
        if !back.is_empty() && inbox.nack(token, &back, delay).await.is_err() {
            return;
        }
        if !done.is_empty() {
            let acknowledged = inbox.ack(token, &done).await;
            load.witness.acknowledged(&agent, &done, told(&acknowledged));
            if acknowledged.is_err() {
                return;
            }
        }
    }
}

/// Calls for proposals that nobody answers, one after another: their timers fire, some while the node is down.
async fn converse(mesh: Mesh, load: Arc<Load>) {
    let connection = load.witness.connection();
    // The node may die before these are answered.
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
        load.witness.sent(connection, &envelope);
        let Ok(sent) = mesh.send(envelope.clone()).await else {
            load.witness.outcome(&envelope, &Sent::Unknown);
            return;
        };
        load.note(envelope, &sent);
        if matches!(sent, Sent::Unknown) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads the topic from where it had come to.
async fn read(mesh: Mesh, load: Arc<Load>) {
    let Some(mut subscription) = load.begin_to_read(&mesh).await else { return };
    while let Some(item) = subscription.next().await {
        if !load.take(&item) {
            let Some(again) = load.begin_to_read(&mesh).await else { return };
            subscription = again;
        }
        if !load.goes_on() {
            return;
        }
    }
}
