//! What a node is given to do until it dies: mail, a kept topic, conversations with timers, and pauses.

use crate::crash::model::Model;
use crate::node::Node;
use openmesh_message::{Digest, Position};
use openmesh_sdk::{
    AgentId, Envelope, KeyPair, Mesh, Performative, Sent, canonical_json, new_conversation_id,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

const BATCH: usize = 8;
/// Large, so that the log's files are soon full.
const BODY_BYTES: usize = 16 * 1024;
const TENDER_MS: i64 = 150;
/// Longer than the node waits before it notes that all is synced.
const PAUSE: Duration = Duration::from_millis(250);
const CALL_EVERY: Duration = Duration::from_millis(400);
const ARGUMENTS: &[&str] =
    &["--pin", "market/**", "--snapshot-records", "60", "--segment-bytes", "262144", "--no-http"];

/// A message as its sender and id.
pub(super) type Key = (AgentId, String);

/// What senders know.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) sent: BTreeMap<Key, Digest>,
    pub(super) accepted: BTreeMap<Key, Position>,
    /// What the worker was told is acknowledged.
    pub(super) acknowledged: BTreeSet<u64>,
    unknown: Vec<Envelope>,
}

/// A node, and those who work with it.
pub(super) struct Crew {
    pub(super) node: Node,
    pub(super) worker: Arc<KeyPair>,
    pub(super) sender: Arc<KeyPair>,
    pub(super) asker: Arc<KeyPair>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) model: Model,
}

impl Crew {
    /// In a fresh folder; the node is stopped.
    pub(super) async fn start() -> Self {
        let mut node = Node::start(ARGUMENTS);
        let (worker, _) = node.agent("worker").await;
        let (sender, _) = node.agent("sender").await;
        let (asker, _) = node.agent("asker").await;
        node.stop();
        Self { node, worker, sender, asker, ledger: Arc::default(), model: Model::default() }
    }

    /// Everybody works until the node ends or the time is over.
    pub(super) async fn work_until_it_dies(&mut self, at_most: Duration) {
        let mut tasks = JoinSet::new();
        let options = |key| self.node.options(key);
        for (key, role) in
            [(&self.sender, Role::Sender), (&self.worker, Role::Worker), (&self.asker, Role::Asker)]
        {
            let (options, ledger) = (options(key), Arc::clone(&self.ledger));
            tasks.spawn(async move {
                // Whoever gave up waiting for a slow machine goes on; a node that has died lets nobody in.
                while let Ok(mesh) = Mesh::connect(&options).await {
                    match role {
                        Role::Sender => send(&mesh, &ledger).await,
                        Role::Worker => work(&mesh, &ledger).await,
                        Role::Asker => converse(&mesh, &ledger).await,
                    };
                }
            });
        }
        let until = Instant::now() + at_most;
        while Instant::now() < until && self.node.ended_within(Duration::from_millis(1)).is_none() {
            sleep(Duration::from_millis(5)).await;
        }
        if at_most < Duration::from_secs(1) {
            // The node goes on; who works with it is sent home.
            tasks.abort_all();
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Sends again whatever ended as unknown: each has one position.
    pub(super) async fn resend_unknown(&self) {
        let unknown = std::mem::take(&mut self.ledger.lock().unwrap().unknown);
        for key in [&self.sender, &self.asker] {
            let of_key = |envelope: &&Envelope| key_of(envelope).0 == key.id();
            let envelopes: Vec<_> = unknown.iter().filter(of_key).cloned().collect();
            if envelopes.is_empty() {
                continue;
            }
            let mesh = self.node.connect(key).await;
            let sent = mesh.send_batch(envelopes.clone()).await.unwrap();
            for (envelope, sent) in envelopes.into_iter().zip(&sent) {
                // A round may have ended meanwhile.
                let late = matches!(sent, Sent::Rejected(_)) && envelope.attributes.get("protocol").is_some();
                assert!(sent.is_accepted() || late, "{sent:?}");
                note(&self.ledger, envelope, sent);
            }
            mesh.close().await;
        }
    }
}

#[derive(Clone, Copy)]
enum Role {
    Sender,
    Worker,
    Asker,
}

pub(super) fn key_of(envelope: &Envelope) -> Key {
    let attribute = |name| envelope.attributes.get(name).unwrap();
    (attribute("source").parse().unwrap(), attribute("id").to_owned())
}

fn note_sent(ledger: &Mutex<Ledger>, envelopes: &[Envelope]) {
    let mut ledger = ledger.lock().unwrap();
    ledger.sent.extend(envelopes.iter().map(|envelope| (key_of(envelope), envelope.digest())));
}

fn note(ledger: &Mutex<Ledger>, envelope: Envelope, sent: &Sent) {
    let mut ledger = ledger.lock().unwrap();
    match sent {
        Sent::Accepted(receipt) => {
            let position = receipt.receipt.position.unwrap();
            let before = ledger.accepted.insert(key_of(&envelope), position);
            assert!(before.is_none_or(|before| before == position), "one message, one position");
        }
        Sent::Unknown => ledger.unknown.push(envelope),
        _ => {}
    }
}

/// Batches to an inbox and a kept topic; now and then a pause.
async fn send(mesh: &Mesh, ledger: &Mutex<Ledger>) -> Option<()> {
    for batch in 0_u64.. {
        let drafts = (0..BATCH).map(|n| {
            let to = if n % 2 == 0 { "inbox:worker" } else { "topic:market/load" };
            mesh.draft(to, &Performative::Inform).unwrap().payload("text/plain", vec![b'x'; BODY_BYTES])
        });
        let envelopes = mesh.sign_batch(drafts.collect()).ok()?;
        note_sent(ledger, &envelopes);
        let sent = mesh.send_batch(envelopes.clone()).await.ok()?;
        envelopes.into_iter().zip(&sent).for_each(|(envelope, sent)| note(ledger, envelope, sent));
        if sent.iter().any(|sent| matches!(sent, Sent::Unknown)) {
            return None;
        }
        if batch % 8 == 7 {
            sleep(PAUSE).await;
        }
    }
    None
}

/// Leases mail, acknowledges most of it and gives some back.
async fn work(mesh: &Mesh, ledger: &Mutex<Ledger>) -> Option<()> {
    let inbox = mesh.inbox();
    loop {
        let leased = inbox.lease(16, Duration::from_secs(2), Duration::from_millis(500)).await.ok()?;
        let Some(first) = leased.first() else { continue };
        let (back, done): (Vec<u64>, Vec<u64>) = leased
            .iter()
            .map(|message| message.number)
            .partition(|number| number % 5 == 0 && first.attempt == 1);
        if !back.is_empty() {
            inbox.nack(first.token, &back, Duration::from_millis(300)).await.ok()?;
        }
        if !done.is_empty() {
            inbox.ack(first.token, &done).await.ok()?;
            ledger.lock().unwrap().acknowledged.extend(done);
        }
    }
}

/// Calls for proposals that nobody answers: their timers fire.
async fn converse(mesh: &Mesh, ledger: &Mutex<Ledger>) -> Option<()> {
    let protocol = mesh.get_protocol("market/negotiation@^1").await.ok()?.name;
    let schema = mesh.get_schema("market/rfp@^1").await.ok()?.name;
    loop {
        let conversation = new_conversation_id().unwrap();
        let rfp = serde_json::json!({
            "id": conversation, "title": "pencils", "items": [{"id": "1", "description": "pencil", "quantity": 1}],
            "value": {"amount": 100, "currency": "EUR"},
            "tenderPeriod": {"endDate": openmesh_sdk::now().plus_ms(TENDER_MS).to_string()},
        });
        let draft = mesh.draft("topic:market/rfp", &Performative::Cfp).unwrap().schema(&schema);
        let draft = draft.conversation(&protocol, &conversation).json(canonical_json(&rfp).unwrap());
        let envelope = mesh.sign(draft).ok()?;
        note_sent(ledger, std::slice::from_ref(&envelope));
        let sent = mesh.send(envelope.clone()).await.ok()?;
        note(ledger, envelope, &sent);
        if matches!(sent, Sent::Unknown) {
            return None;
        }
        sleep(CALL_EVERY).await;
    }
}
