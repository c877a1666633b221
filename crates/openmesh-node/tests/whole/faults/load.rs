//! Agents at work until their node dies: they send, work off mail, call for proposals, read a topic, ask and answer, and
//! everything they see is witnessed.

mod roles;

use super::witness::Witness;
use crate::node::Node;
use openmesh_message::frame::Start;
use openmesh_sdk::{AgentId, ConnectOptions, Envelope, Item, KeyPair, Mesh, Sent};
use openmesh_simulator::history::Event;
use roles::Role;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Time each round lets agents work at least.
const ROUND_MIN: Duration = Duration::from_millis(250);
/// How long a round waits for what it is to have accepted.
const ROUND_MAX: Duration = Duration::from_secs(60);
/// A node that lets nobody in has ended within this time.
const DEATH_MAX: Duration = Duration::from_secs(10);
/// A reader has come to the end when nothing comes for so long.
const QUIET: Duration = Duration::from_millis(700);
/// The topic that senders send to and the reader reads.
const TOPIC: &str = "topic:market/load";
const READER: &str = "reader";
const RESPONDER: &str = "responder";

/// How agents work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    batch: usize,
    body_bytes: usize,
    /// How long all of them work, and how long all then rest.
    bursts: Option<(Duration, Duration)>,
    call_every: Duration,
}

impl Manner {
    /// Small messages without an end.
    pub(crate) const STEADY: Self =
        Self { batch: 64, body_bytes: 200, bursts: None, call_every: Duration::from_millis(5) };
    /// Large messages, so that the log's files are soon full, and rests, longer than the node waits before it notes that all
    /// is synced.
    pub(crate) const BURSTS: Self = Self {
        batch: 16,
        body_bytes: 4 * 1024,
        bursts: Some((Duration::from_millis(250), Duration::from_millis(250))),
        call_every: Duration::from_millis(50),
    };
    /// The same with messages so large that a few hundred fill a file of 16 MiB.
    pub(crate) const BULKY_BURSTS: Self = Self { body_bytes: 64 * 1024, ..Self::BURSTS };
}

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
    manner: Manner,
    begun: Instant,
}

/// Who is at work.
pub(crate) struct Agents {
    pub(crate) senders: Vec<Arc<KeyPair>>,
    pub(crate) worker: Arc<KeyPair>,
    pub(crate) asker: Arc<KeyPair>,
    reader: Arc<KeyPair>,
    requester: Arc<KeyPair>,
    responder: Arc<KeyPair>,
    herald: Arc<KeyPair>,
    listener: Arc<KeyPair>,
    slow_listener: Arc<KeyPair>,
}

impl Load {
    /// Registers the agents; none of what they send may be refused.
    pub(crate) async fn prepare(node: &Node, name: &str) -> Arc<Self> {
        Arc::new(Self::of(node, name).await)
    }

    /// The same, where a fault explains refusals whose codes begin so.
    pub(crate) async fn prepare_for(node: &Node, name: &str, explained: &'static str) -> Arc<Self> {
        Arc::new(Self { explained, ..Self::of(node, name).await })
    }

    /// The same for agents that work in another manner.
    pub(crate) async fn prepare_in(node: &Node, name: &str, manner: Manner) -> Arc<Self> {
        Arc::new(Self { manner, ..Self::of(node, name).await })
    }

    async fn of(node: &Node, name: &str) -> Self {
        let mut senders = Vec::new();
        for name in ["sender-1", "sender-2", "sender-3"] {
            senders.push(node.agent(name).await.0);
        }
        let agents = Agents {
            senders,
            worker: node.agent("worker").await.0,
            asker: node.agent("asker").await.0,
            reader: node.agent("reader").await.0,
            requester: node.agent("requester").await.0,
            responder: node.agent(RESPONDER).await.0,
            herald: node.agent("herald").await.0,
            listener: node.agent("listener-of-all").await.0,
            slow_listener: node.agent("slow-listener").await.0,
        };
        Self {
            witness: Witness::new(name),
            agents,
            accepted: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            unknown: Mutex::default(),
            read_through: AtomicU64::new(0),
            explained: "none",
            manner: Manner::STEADY,
            begun: Instant::now(),
        }
    }

    /// Lets the agents work until so many more messages are accepted, then `die` ends the node; returns when everybody
    /// has noticed.
    pub(crate) async fn work_until(
        self: &Arc<Self>,
        node: &mut Node,
        more: u64,
        die: impl FnOnce(&mut Node),
    ) {
        let enough = self.accepted.load(Ordering::Relaxed) + more;
        self.work(node, (enough, ROUND_MAX), die).await;
    }

    /// Lets the agents work until the node ends, or the time is over.
    pub(crate) async fn work_until_it_dies(self: &Arc<Self>, node: &mut Node, at_most: Duration) {
        self.work(node, (u64::MAX, at_most), |_| {}).await;
    }

    async fn work(
        self: &Arc<Self>,
        node: &mut Node,
        (enough, at_most): (u64, Duration),
        die: impl FnOnce(&mut Node),
    ) {
        self.stop.store(false, Ordering::Relaxed);
        // All are connected before the first works: the node may die of its first sync.
        let mut tasks = tokio::task::JoinSet::new();
        for (role, options, mesh) in self.connect_everybody(node).await {
            tasks.spawn(Arc::clone(self).work_as(role, options, mesh));
        }
        let until = Instant::now() + at_most;
        let least = Instant::now() + ROUND_MIN.min(at_most);
        let is_short = || self.accepted.load(Ordering::Relaxed) < enough || Instant::now() < least;
        while is_short() && !node.has_ended() && Instant::now() < until {
            sleep(Duration::from_millis(1)).await;
        }
        die(node);
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    }

    /// Works until the round is over. Whoever gave up waiting for a slow machine goes on; a node that has died lets nobody
    /// in.
    async fn work_as(self: Arc<Self>, role: Role, options: ConnectOptions, first: Mesh) {
        let mut mesh = Some(first);
        while let Some(connected) = mesh.take() {
            role.work(&connected, &self).await;
            if self.goes_on() {
                mesh = Mesh::connect(&options).await.ok();
            }
        }
    }

    /// Who works as what; nobody where the node has died.
    async fn connect_everybody(&self, node: &mut Node) -> Vec<(Role, ConnectOptions, Mesh)> {
        let Agents { senders, worker, asker, reader, requester, responder, .. } = &self.agents;
        let Agents { herald, listener, slow_listener, .. } = &self.agents;
        let others = [
            (Role::Worker, worker),
            (Role::Asker, asker),
            (Role::Reader, reader),
            (Role::Responder, responder),
            (Role::Requester, requester),
            (Role::Listener, listener),
            (Role::SlowListener, slow_listener),
            (Role::Herald, herald),
        ];
        let mut everybody = Vec::new();
        for (role, key) in others.into_iter().chain(senders.iter().map(|key| (Role::Sender, key))) {
            let options = node.options(key);
            match Mesh::connect(&options).await {
                Ok(mesh) => everybody.push((role, options, mesh)),
                Err(error) => {
                    let has_died = node.ended_within(DEATH_MAX).is_some();
                    assert!(has_died, "a node that lives lets everybody in: {error}");
                    return Vec::new();
                }
            }
        }
        everybody
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
        while let Ok(Some(item)) = timeout(QUIET, subscription.next()).await {
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

    /// Whether the round goes on; where all rest at times, once they are at work again.
    async fn goes_on_after_rest(&self) -> bool {
        if let Some((work, rest)) = self.manner.bursts {
            let round = (work + rest).as_millis();
            let into = Duration::from_millis((self.begun.elapsed().as_millis() % round) as u64);
            if into > work {
                sleep(work + rest - into).await;
            }
        }
        self.goes_on()
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
