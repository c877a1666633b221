//! Requests: to one agent by an exchange, to all who read a topic as a message with a deadline.

use super::line::Line;
use super::sending::act;
use super::stage::{Asked, Player, Stage, ends, within};
use openmesh_message::Envelope;
use openmesh_sdk::{SdkError, canonical_json, now};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

const TIMEOUT_MS: u64 = 10_000;
const FINAL: [&str; 4] = ["inform", "failure", "refuse", "not-understood"];

pub(crate) async fn play(stage: &mut Stage, line: &mut Line) {
    let name = line.word();
    if line.verb == "asks" {
        return ask(stage, line, name).await;
    }
    let player = stage.player(line);
    let mut asked = player.exchanges.remove(&name).unwrap();
    match line.verb.as_str() {
        "gathers" => gather(stage, line, &mut asked).await,
        "unanswered" => {
            let reply = within(line, next(player, &mut asked)).await;
            assert!(reply.is_none(), "{}: {reply:?}", line.place);
            return;
        }
        _ => {
            let reply = within(line, next(player, &mut asked)).await;
            let reply = reply.unwrap_or_else(|| panic!("{}: no reply", line.place));
            stage.check_message(&reply, line);
        }
    }
    stage.player(line).exchanges.insert(name, asked);
}

async fn ask(stage: &mut Stage, line: &mut Line, name: String) {
    let (to, act) = (line.needed("to"), act(line, "request"));
    let timeout = Duration::from_millis(line.unsigned("timeout").unwrap_or(TIMEOUT_MS));
    let payload = canonical_json(&line.take("payload")).unwrap();
    let player = stage.player(line);
    let draft = player.mesh.draft(&to, &act).unwrap().json(payload);
    let asked = if to.starts_with("topic:") {
        let until = Instant::now() + timeout;
        let by = now().plus_ms(i64::try_from(timeout.as_millis()).unwrap());
        let envelope = player.mesh.sign(draft.reply_by(by)).unwrap();
        let id = envelope.attributes.get("id").unwrap().to_owned();
        let sent = within(line, player.mesh.send(envelope)).await.unwrap();
        match sent.problem().cloned() {
            Some(problem) => Err(SdkError::Rejected(Box::new(problem))),
            None => Ok(Asked::Many { id, until }),
        }
    } else {
        let exchange = within(line, player.mesh.exchange(draft, timeout)).await;
        exchange.map(|exchange| Asked::One(Box::new(exchange)))
    };
    if let Some(asked) = ends(line, asked) {
        player.exchanges.insert(name, asked);
    }
}

async fn next(player: &mut Player, asked: &mut Asked) -> Option<Arc<Envelope>> {
    match asked {
        Asked::One(exchange) => exchange.next().await,
        Asked::Many { id, until } => loop {
            let envelope = timeout_at(*until, player.incoming.next_message()).await.ok().flatten()?;
            if envelope.attributes.get("inreplyto") == Some(&**id) {
                return Some(envelope);
            }
        },
    }
}

async fn gather(stage: &mut Stage, line: &mut Line, asked: &mut Asked) {
    let wanted: BTreeSet<_> =
        line.texts("from").iter().map(|name| stage.players[name].key.id().to_string()).collect();
    let player = stage.player(line);
    let mut found = BTreeSet::new();
    while found.len() < wanted.len() {
        let reply = within(line, next(player, asked)).await;
        let reply = reply.unwrap_or_else(|| panic!("{}: {found:?}", line.place));
        if FINAL.contains(&reply.attributes.get("performative").unwrap()) {
            found.insert(reply.attributes.get("source").unwrap().to_owned());
        }
    }
    assert_eq!(found, wanted, "{}", line.place);
}
