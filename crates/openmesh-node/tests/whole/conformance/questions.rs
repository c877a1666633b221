//! Registering, definitions, topics, conversations and the log.

use super::line::Line;
use super::stage::{Stage, ends, same, within};
use openmesh_sdk::{LogFilter, Mesh, Retention};
use serde_json::Value;
use std::path::Path;

const RECORDS_MAX: usize = 10_000;

pub(crate) async fn play(stage: &mut Stage, line: &mut Line) {
    let mesh = stage.player(line).mesh.clone();
    let token = line.text("token").unwrap_or_else(|| stage.node().admin_token());
    match line.verb.as_str() {
        "register" => {
            let name = line.needed("name");
            let result = within(line, mesh.register(&name, Some(&token))).await;
            ends(line, result);
        }
        "pin" => {
            let (pattern, pinned) = (line.needed("pattern"), line.flag("pinned").unwrap());
            let result = match line.unsigned("messages") {
                None => within(line, mesh.configure_topic(&pattern, pinned, Some(&token))).await,
                messages => {
                    let kept = (pinned, Retention { messages, ..Retention::UNLIMITED });
                    within(line, mesh.set_topic(&pattern, kept, None, Some(&token))).await.map(drop)
                }
            };
            ends(line, result);
        }
        "publish-schema" => {
            let (name, schema) = (line.needed("name"), line.needed("schema"));
            let result = within(line, mesh.publish_schema(&name, &schema)).await;
            ends(line, result);
        }
        "publish-protocol" => {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(line.needed("file"));
            let text = std::fs::read_to_string(file).unwrap();
            let result = within(line, mesh.publish_protocol(&text)).await;
            ends(line, result);
        }
        "knows" => knows(line, &mesh).await,
        "shows" => shows(stage, line, &mesh).await,
        "receipt" => receipt(stage, line, &mesh).await,
        "recalls" => {
            let name = line.word();
            let id = stage.messages[&name].attributes.get("id").unwrap();
            let result = within(line, mesh.recall(&stage.receipts[&name], id)).await;
            ends(line, result);
        }
        _ => query(stage, line, &mesh).await,
    }
}

async fn knows(line: &mut Line, mesh: &Mesh) {
    let (kind, name) = (line.word(), line.needed("name"));
    let fetch = async |name: &str| match kind.as_str() {
        "schema" => mesh.get_schema(name).await,
        _ => mesh.get_protocol(name).await,
    };
    let result = within(line, fetch(&name)).await;
    if let Some(found) = ends(line, result) {
        let again = within(line, fetch(&format!("sha256-{}", found.name.digest))).await.unwrap();
        assert_eq!(again, found, "{}", line.place);
    }
}

async fn shows(stage: &mut Stage, line: &mut Line, mesh: &Mesh) {
    let id = stage.conversation(&line.word());
    let wanted = line.pointers();
    let result = within(line, mesh.show_conversation(&id)).await;
    let Some(shown) = ends(line, result) else { return };
    for (pointer, value) in wanted {
        assert_eq!(shown.pointer(&pointer), Some(&value), "{}: {shown}", line.place);
    }
}

async fn receipt(stage: &mut Stage, line: &mut Line, mesh: &Mesh) {
    let name = line.word();
    let envelope = &stage.messages[&name];
    let id = envelope.attributes.get("id").unwrap();
    let found = within(line, mesh.receipt(&envelope.digest(), id)).await.unwrap();
    assert_eq!(found.is_some(), line.flag("found").unwrap_or(true), "{}", line.place);
    if let Some(position) = found.and_then(|found| found.receipt.position) {
        assert_eq!(position.seq, stage.positions[&name], "{}", line.place);
    }
}

async fn query(stage: &mut Stage, line: &mut Line, mesh: &Mesh) {
    let filter = filter_of(stage, line, LogFilter::default());
    let of_a_kind = filter.kind.is_some();
    let rows = within(line, mesh.query_log(filter).collect(RECORDS_MAX)).await.unwrap();
    let messages: Vec<_> = rows.iter().filter_map(|row| row.get("message")).collect();
    let count = if of_a_kind { rows.len() } else { messages.len() };
    assert_eq!(count as u64, line.unsigned("count").unwrap(), "{}: {rows:?}", line.place);
    if let Some(payloads) = line.take("payloads") {
        let found: Value =
            messages.iter().map(|message| message.get("payload").cloned().unwrap_or_default()).collect();
        assert!(same(&found, &payloads), "{}: {found}", line.place);
    }
}

fn filter_of(stage: &mut Stage, line: &mut Line, mut filter: LogFilter) -> LogFilter {
    filter.kind = line.text("kind");
    filter.topic = line.text("topic");
    filter.id = line.text("id");
    filter.agent = line.text("agent").map(|name| stage.players[&name].key.id());
    filter.conversation = line.text("conversation").map(|name| stage.conversation(&name).to_string());
    filter
}
