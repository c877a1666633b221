//! Subscriptions, and the messages to the agent itself.

use super::line::Line;
use super::stage::{Stage, ends, within};
use openmesh_message::Timestamp;
use openmesh_sdk::{Item, Start};
use std::time::Duration;

const QUIET_MS: u64 = 300;

pub(crate) async fn play(stage: &mut Stage, line: &mut Line) {
    match line.verb.as_str() {
        "subscribe" => subscribe(stage, line).await,
        "nothing" => nothing(stage, line).await,
        "hears" => {
            let player = stage.player(line);
            let item = within(line, player.incoming.next()).await;
            take_message(stage, line, item);
        }
        "end" => {
            let name = line.word();
            let subscription = stage.player(line).subscriptions.remove(&name).unwrap();
            within(line, subscription.end()).await.unwrap();
        }
        "gap" => {
            let item = next(stage, line).await;
            let (first, last) = (line.unsigned("first").unwrap(), line.unsigned("last").unwrap());
            assert_eq!(item, Some(Item::Gap { first, last }), "{}", line.place);
        }
        _ => {
            let item = next(stage, line).await;
            take_message(stage, line, item);
        }
    }
}

async fn subscribe(stage: &mut Stage, line: &mut Line) {
    let name = line.word();
    let pattern = line.needed("pattern");
    let start = line.unsigned("start").map_or(Start::Next, Start::At);
    let since = line.text("since").map(|time| Start::Since(Timestamp::parse(&time).unwrap()));
    let player = stage.player(line);
    let subscribed = within(line, player.mesh.subscribe(&pattern, since.unwrap_or(start))).await;
    if let Some(subscription) = ends(line, subscribed) {
        player.subscriptions.insert(name, subscription);
    }
}

async fn next(stage: &mut Stage, line: &mut Line) -> Option<Item> {
    let name = line.word();
    let player = stage.player(line);
    let subscription = player.subscriptions.get_mut(&name).expect("a subscription of that name");
    within(line, subscription.next()).await
}

async fn nothing(stage: &mut Stage, line: &mut Line) {
    let name = line.word();
    let wait = Duration::from_millis(line.unsigned("ms").unwrap_or(QUIET_MS));
    let subscription = stage.player(line).subscriptions.get_mut(&name).unwrap();
    let item = tokio::time::timeout(wait, subscription.next()).await;
    assert!(item.is_err(), "{}: {item:?}", line.place);
}

fn take_message(stage: &mut Stage, line: &mut Line, item: Option<Item>) {
    let Some(Item::Message { envelope, .. }) = item else {
        panic!("{}: {item:?}", line.place);
    };
    stage.check_message(&envelope, line);
    let seq = envelope.transit.position.map(|position| position.seq);
    if let Some(expected) = line.unsigned("seq") {
        assert_eq!(seq, Some(expected), "{}", line.place);
    }
    let name = line.text("as");
    stage.keep(name, envelope.as_ref().clone(), seq);
}
