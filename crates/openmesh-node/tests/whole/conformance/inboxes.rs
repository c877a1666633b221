//! The verbs of inboxes.

use super::line::Line;
use super::stage::{Stage, ends, same, within};
use openmesh_message::Envelope;
use openmesh_sdk::{HeldState, Inbox, Leased, parse_json};
use serde_json::Value;
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(300);
const MAIL_WAIT: Duration = Duration::from_secs(9);
const PEEKED_MAX: u32 = 256;
const VISIBILITY_MS: u64 = 60_000;
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn play(stage: &mut Stage, line: &mut Line) {
    let inbox = stage.player(line).mesh.inbox();
    match line.verb.as_str() {
        "lease" => lease(stage, line, &inbox).await,
        "mail" => mail(stage, line, &inbox).await,
        "counts" => counts(line, &inbox).await,
        "peeks" => peek(line, &inbox).await,
        "empty" => {
            let leased = within(line, inbox.lease(1, MINUTE, QUIET)).await.unwrap();
            assert!(leased.is_empty(), "{}: {leased:?}", line.place);
        }
        _ => on_lease(stage, line, &inbox).await,
    }
}

async fn lease(stage: &mut Stage, line: &mut Line, inbox: &Inbox) {
    let name = line.word();
    let most = u32::try_from(line.unsigned("max").unwrap_or(1)).unwrap();
    let visibility = Duration::from_millis(line.unsigned("visibility").unwrap_or(VISIBILITY_MS));
    let wait = Duration::from_millis(line.unsigned("wait").unwrap_or(0));
    let leased = within(line, inbox.lease(most, visibility, wait)).await.unwrap();
    let place = &line.place.clone();
    if let Some(payloads) = line.take("payloads") {
        let found: Value = leased.iter().map(|one| payload(&one.envelope)).collect();
        assert!(same(&found, &payloads), "{place}: {found}");
    }
    if let Some(attempt) = line.unsigned("attempt") {
        assert!(leased.iter().all(|one| u64::from(one.attempt) == attempt), "{place}: {leased:?}");
    }
    let leases = &mut stage.player(line).leases;
    let newest = leases.values().flatten().map(|one| one.token).max().unwrap_or(0);
    assert!(leased.iter().all(|one| one.token > newest), "{place}: tokens grow");
    leases.insert(name, leased);
}

async fn on_lease(stage: &mut Stage, line: &mut Line, inbox: &Inbox) {
    let name = line.word();
    let leased: &Vec<Leased> = &stage.player(line).leases[&name];
    let token = leased.first().unwrap().token;
    let result = match line.verb.as_str() {
        "ack" => within(line, inbox.ack(token, &[])).await,
        "nack" => {
            let delay = Duration::from_millis(line.unsigned("delay").unwrap_or(0));
            within(line, inbox.nack(token, &[], delay)).await
        }
        _ => {
            let visibility = Duration::from_millis(line.unsigned("visibility").unwrap());
            within(line, inbox.extend(token, visibility)).await
        }
    };
    ends(line, result);
}

async fn mail(stage: &mut Stage, line: &mut Line, inbox: &Inbox) {
    let leased = within(line, inbox.lease(1, MINUTE, MAIL_WAIT)).await.unwrap();
    let one = leased.into_iter().next().unwrap_or_else(|| panic!("{}: no mail", line.place));
    let envelope = one.envelope;
    stage.check_message(&envelope, line);
    let notice = line.text("notice");
    let outcome = line.text("outcome");
    if let Some(notice) = notice {
        let said = payload(&envelope);
        let step = format!("{}:{}", text(&said, "machine"), text(&said, "to"));
        assert_eq!(step, notice, "{}", line.place);
        assert!(outcome.is_none_or(|outcome| outcome == text(&said, "outcome")), "{}: {said}", line.place);
    }
    let seq = envelope.transit.position.map(|position| position.seq);
    let name = line.text("as");
    stage.keep(name, envelope, seq);
    within(line, inbox.ack(one.token, &[one.number])).await.unwrap();
}

async fn peek(line: &mut Line, inbox: &Inbox) {
    let page = within(line, inbox.peek(0, PEEKED_MAX)).await.unwrap();
    let found: Value = page.entries.iter().map(|one| payload(&one.envelope)).collect();
    assert!(same(&found, &line.take("payloads").unwrap()), "{}: {found}", line.place);
    if line.has("states") {
        let states = page.entries.iter().map(|one| match one.state {
            HeldState::Ready => "ready",
            HeldState::Delayed(_) => "delayed",
            HeldState::Leased(_) => "leased",
        });
        assert_eq!(states.collect::<Vec<_>>(), line.texts("states"), "{}", line.place);
    }
}

async fn counts(line: &mut Line, inbox: &Inbox) {
    let found = within(line, inbox.counts()).await.unwrap();
    let figures = [
        ("accepted", found.accepted),
        ("pending", found.pending),
        ("acknowledged", found.acknowledged),
        ("expired", found.expired),
        ("dead", found.dead_lettered),
        ("recalled", found.recalled),
    ];
    for (key, figure) in figures {
        let expected = line.unsigned(key).unwrap_or(figure);
        assert_eq!(figure, expected, "{}: {found:?}", line.place);
    }
    assert!(found.is_conserved());
}

fn payload(envelope: &Envelope) -> Value {
    parse_json(envelope).unwrap()
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
