//! What is not kept: said in rows that are alike and go past the node's owner, and heard by a listener that keeps up and by one
//! that does not.

use super::LOOK_EVERY;
use crate::faults::load::Load;
use openmesh_message::frame::Start;
use openmesh_sdk::{Item, Mesh, Performative, Sent, Subscription};
use openmesh_simulator::history::Event;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const TOPIC: &str = "topic:weather/load";
/// Messages in a row, and what lies between two rows.
const ROW: usize = 12;
const REST: Duration = Duration::from_millis(3);
/// Each row of so many is JSON, which takes no shortcut.
const JSON_EVERY: usize = 9;
/// How long one that is slow leaves what came.
const SLOW: Duration = Duration::from_millis(25);

/// Says rows of things until the round is over, or the connection is.
pub(super) async fn say(mesh: &Mesh, load: &Load) {
    let (connection, sender) = (load.witness.connection(), mesh.id().to_string());
    for row in 0.. {
        if !load.goes_on_after_rest().await {
            return;
        }
        let media_type = if row % JSON_EVERY == 0 { "application/json" } else { "text/plain" };
        let envelopes: Vec<_> = (0..ROW)
            .map(|_| {
                let draft = mesh.draft(TOPIC, &Performative::Inform).unwrap();
                mesh.unsigned(draft.payload(media_type, "1")).unwrap()
            })
            .collect();
        let ids: Vec<_> =
            envelopes.iter().map(|one| one.attributes.get("id").unwrap_or_default().to_owned()).collect();
        for id in ids.iter().cloned() {
            load.witness.note(&Event::Aired { connection, sender: sender.clone(), id });
        }
        let Ok(sent) = mesh.send_batch(envelopes).await else { return };
        for (id, sent) in ids.into_iter().zip(sent) {
            match sent {
                Sent::Passed => {}
                Sent::Rejected(problem) if problem.code.starts_with(load.explained) => {
                    load.witness.note(&Event::Withheld { sender: sender.clone(), id });
                }
                Sent::Unknown => return,
                other => panic!("an honest message was refused: {other:?}"),
            }
        }
        sleep(REST).await;
    }
}

/// Hears what is said.
pub(super) async fn hear(mesh: &Mesh, load: &Load, is_slow: bool) {
    let Ok(mut subscription) = mesh.subscribe(TOPIC, Start::Next).await else { return };
    let session = load.witness.connection();
    load.witness.note(&Event::Tuned { session });
    while load.goes_on() {
        if is_slow {
            sleep(SLOW).await;
        }
        if !hear_some(&mut subscription, load, session).await {
            return;
        }
    }
}

/// Takes what is there; whether the connection still stands.
async fn hear_some(subscription: &mut Subscription, load: &Load, session: u64) -> bool {
    let mut wait = LOOK_EVERY;
    while let Ok(item) = timeout(wait, subscription.next()).await {
        let event = match item {
            Some(Item::Message { number, envelope }) => {
                let attribute = |name: &str| envelope.attributes.get(name).unwrap_or_default().to_owned();
                Event::Heard { session, number, sender: attribute("source"), id: attribute("id") }
            }
            Some(Item::Gap { first, last }) => Event::Missed { session, first, last },
            Some(Item::Invalid { why, .. }) => panic!("{why}"),
            None => return false,
        };
        load.witness.note(&event);
        wait = Duration::ZERO;
    }
    true
}
