//! What a scenario plays on: a node, its agents, what was kept under a name, and checks they share.

use super::line::Line;
use crate::node::{Node, new_key};
use openmesh_message::{ConversationId, Envelope};
use openmesh_sdk::{
    ConnectOptions, Exchange, KeyPair, Leased, Mesh, Problem, SdkError, SignedReceipt, Subscription,
    new_conversation_id, parse_json,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);

/// One agent.
pub(crate) struct Player {
    pub(crate) key: Arc<KeyPair>,
    pub(crate) mesh: Mesh,
    queue: usize,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) exchanges: BTreeMap<String, Asked>,
    pub(crate) leases: BTreeMap<String, Vec<Leased>>,
    pub(crate) incoming: Subscription,
}

/// A request under way: to one agent, or to all who read a topic, whose replies come as messages to the asker.
pub(crate) enum Asked {
    One(Box<Exchange>),
    Many { id: String, until: tokio::time::Instant },
}

/// A node, its agents, and what was kept under a name.
#[derive(Default)]
pub(crate) struct Stage {
    node: Option<Node>,
    pub(crate) players: BTreeMap<String, Player>,
    pub(crate) messages: BTreeMap<String, Envelope>,
    pub(crate) positions: BTreeMap<String, u64>,
    pub(crate) receipts: BTreeMap<String, SignedReceipt>,
    conversations: BTreeMap<String, ConversationId>,
}

impl Stage {
    pub(crate) async fn set_up(&mut self, line: &mut Line) {
        match line.verb.as_str() {
            "start" => {
                let pin = line.text("pin");
                let arguments: Vec<_> = pin.iter().flat_map(|pin| ["--pin", pin]).collect();
                self.node = Some(Node::start(&arguments));
            }
            "restart" | "kill" => self.begin_again(line.verb == "kill").await,
            "pause" => tokio::time::sleep(Duration::from_millis(line.unsigned("ms").unwrap())).await,
            other => panic!("{}: the node does not {other}", line.place),
        }
    }

    async fn begin_again(&mut self, kill: bool) {
        let node = self.node.as_mut().unwrap();
        if kill {
            node.kill();
        } else {
            node.stop();
        }
        node.restart();
        let names: Vec<_> = self.players.keys().cloned().collect();
        for name in names {
            self.come_back(&name).await;
        }
    }

    pub(crate) fn node(&self) -> &Node {
        self.node.as_ref().expect("the first line is `node start`")
    }

    pub(crate) async fn enter(&mut self, line: &mut Line) {
        let queue = usize::try_from(line.unsigned("queue").unwrap_or(super::QUEUE)).unwrap();
        let player = Player::connect(self.node(), new_key(), queue).await;
        if line.flag("register").unwrap_or(true) {
            player.mesh.register(&line.who, Some(&self.node().admin_token())).await.unwrap();
        }
        self.players.insert(line.who.clone(), player);
    }

    /// Connects an agent again; its subscriptions and requests are gone.
    pub(crate) async fn come_back(&mut self, name: &str) {
        let before = self.players.remove(name).unwrap();
        let mut player = Player::connect(self.node(), before.key, before.queue).await;
        player.leases = before.leases;
        self.players.insert(name.to_owned(), player);
    }

    pub(crate) fn player(&mut self, line: &Line) -> &mut Player {
        let place = &line.place;
        self.players.get_mut(&line.who).unwrap_or_else(|| panic!("{place}: no such agent"))
    }

    pub(crate) fn keep(&mut self, name: Option<String>, envelope: Envelope, seq: Option<u64>) {
        let Some(name) = name else { return };
        self.messages.insert(name.clone(), envelope);
        if let Some(seq) = seq {
            self.positions.insert(name, seq);
        }
    }

    pub(crate) fn conversation(&mut self, name: &str) -> ConversationId {
        *self.conversations.entry(name.to_owned()).or_insert_with(|| new_conversation_id().unwrap())
    }

    /// What a variable stands for.
    pub(crate) fn meaning(&mut self, name: &str, part: Option<&str>) -> String {
        match part {
            None => match self.players.get(name) {
                Some(player) => player.key.id().to_string(),
                None => self.messages[name].digest().to_string(),
            },
            Some("id") => self.messages[name].attributes.get("id").unwrap().to_owned(),
            Some("time") => self.messages[name].attributes.get("time").unwrap().to_owned(),
            Some("seq") => self.positions[name].to_string(),
            Some("uuid") => self.conversation(name).to_string(),
            Some(other) => panic!("${name}.{other} means nothing"),
        }
    }

    /// That a message is the one that the line says must come.
    pub(crate) fn check_message(&self, envelope: &Envelope, line: &mut Line) {
        let place = line.place.clone();
        if let Some(payload) = line.take("payload") {
            let found: Value = parse_json(envelope).unwrap_or_else(|why| panic!("{place}: {why}"));
            assert!(same(&found, &payload), "{place}: {found}");
        }
        if let Some(text) = line.text("text") {
            assert_eq!(String::from_utf8_lossy(&envelope.payload), text, "{place}");
        }
        if let Some(from) = line.text("from") {
            let expected = self.players[&from].key.id().to_string();
            assert_eq!(envelope.attributes.get("source"), Some(&*expected), "{place}");
        }
        if let Some(act) = line.text("act") {
            assert_eq!(envelope.attributes.get("performative"), Some(&*act), "{place}");
        }
    }
}

impl Player {
    async fn connect(node: &Node, key: Arc<KeyPair>, queue: usize) -> Self {
        let options = ConnectOptions { subscription_messages_max: queue, ..node.options(&key) };
        let mesh = Mesh::connect(&options).await.unwrap();
        let incoming = mesh.incoming().unwrap();
        let (subscriptions, exchanges, leases) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { key, mesh, queue, subscriptions, exchanges, leases, incoming }
    }
}

/// Numbers are equal if their values are: payloads are RFC 8785, where 1.0 is 1.
pub(crate) fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => found == expected,
    }
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(line: &Line, work: impl Future<Output = T>) -> T {
    let place = &line.place;
    tokio::time::timeout(WAIT, work).await.unwrap_or_else(|_| panic!("{place}: took too long"))
}

/// The result of a call that must end as the line says; `None` when it was to be refused.
pub(crate) fn ends<T>(line: &mut Line, result: Result<T, SdkError>) -> Option<T> {
    let expected = line.text("expect");
    match result {
        Ok(done) => {
            assert_eq!(expected.as_deref().unwrap_or("done"), "done", "{}: it was done", line.place);
            Some(done)
        }
        Err(SdkError::Rejected(problem) | SdkError::Refused(problem)) => {
            check_problem(line, &problem, expected.as_deref());
            None
        }
        Err(other) => panic!("{}: {other}", line.place),
    }
}

/// That a refusal says what it must.
pub(crate) fn check_problem(line: &mut Line, problem: &Problem, expected: Option<&str>) {
    let place = line.place.clone();
    assert_eq!(Some(&*problem.code), expected, "{place}: {problem}");
    if let Some(pointer) = line.text("pointer") {
        assert_eq!(problem.pointer.as_deref(), Some(&*pointer), "{place}");
    }
    if let Some(state) = line.text("state") {
        assert!(problem.state.as_deref().unwrap_or_default().starts_with(&state), "{place}: {problem:?}");
    }
    if line.has("allowed") {
        let mut expected = line.texts("allowed");
        let mut found: Vec<_> = problem.allowed_next.iter().map(|next| next.performative.clone()).collect();
        expected.sort();
        found.sort();
        found.dedup();
        assert_eq!(found, expected, "{place}");
    }
}
