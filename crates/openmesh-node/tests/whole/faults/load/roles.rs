//! What each of the agents does, on one connection: until the round is over, or the connection is.

mod air;
mod requests;

use super::super::witness::told;
use super::{Load, TOPIC};
use openmesh_sdk::{Mesh, Performative, Sent, canonical_json, new_conversation_id};
use openmesh_simulator::history::Event;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const TENDER_MS: i64 = 150;
/// How long some of the mail waits in its inbox.
const DELAY_MS: i64 = 300;
const LEASED_MAX: u32 = 64;
/// How often whoever waits looks whether the round is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What an agent does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Sender,
    Worker,
    Asker,
    Reader,
    Requester,
    Responder,
    Herald,
    Listener,
    SlowListener,
}

impl Role {
    pub(super) async fn work(self, mesh: &Mesh, load: &Load) {
        match self {
            Self::Sender => send(mesh, load).await,
            Self::Worker => work(mesh, load).await,
            Self::Asker => converse(mesh, load).await,
            Self::Reader => read(mesh, load).await,
            Self::Requester => requests::ask(mesh, load).await,
            Self::Responder => requests::respond(mesh, load).await,
            Self::Herald => air::say(mesh, load).await,
            Self::Listener => air::hear(mesh, load, false).await,
            Self::SlowListener => air::hear(mesh, load, true).await,
        }
    }
}

/// Sends batches to a pinned topic and to the worker's inbox until the node dies; some mail is to wait, and some is
/// called back.
async fn send(mesh: &Mesh, load: &Load) {
    let connection = load.witness.connection();
    while load.goes_on_after_rest().await {
        let drafts = (0..load.manner.batch).map(|n| {
            let to = if n % 4 == 0 { "inbox:worker" } else { TOPIC };
            let draft = mesh.draft(to, &Performative::Inform).unwrap();
            let draft = draft.payload("text/plain", vec![b'x'; load.manner.body_bytes]);
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
async fn work(mesh: &Mesh, load: &Load) {
    let (inbox, agent) = (mesh.inbox(), mesh.id());
    while load.goes_on_after_rest().await {
        let Ok(leased) = inbox.lease(LEASED_MAX, Duration::from_secs(2), Duration::from_millis(100)).await
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
async fn converse(mesh: &Mesh, load: &Load) {
    let connection = load.witness.connection();
    // The node may die before these are answered.
    let Ok(protocol) = mesh.get_protocol("market/negotiation@^1").await else { return };
    let Ok(schema) = mesh.get_schema("market/rfp@^1").await else { return };
    let (protocol, schema) = (protocol.name, schema.name);
    while load.goes_on_after_rest().await {
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
        sleep(load.manner.call_every).await;
    }
}

/// Reads the topic from where it had come to.
async fn read(mesh: &Mesh, load: &Load) {
    let Some(mut subscription) = load.begin_to_read(mesh).await else { return };
    while load.goes_on() {
        match timeout(LOOK_EVERY, subscription.next()).await {
            Ok(Some(item)) if load.take(&item) => {}
            Ok(Some(_)) => match load.begin_to_read(mesh).await {
                Some(again) => subscription = again,
                None => return,
            },
            Ok(None) => return,
            // Nothing comes while all rest.
            Err(_) => {}
        }
    }
}
