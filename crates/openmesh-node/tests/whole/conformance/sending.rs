//! Composing, signing and sending.

use super::line::Line;
use super::stage::{Stage, check_problem, within};
use openmesh_message::{Envelope, Level};
use openmesh_sdk::{Draft, Mesh, Performative, Sent, canonical_json, new_message_id, now};
use serde_json::Value;

pub(crate) async fn play(stage: &mut Stage, line: &mut Line) {
    match line.verb.as_str() {
        "batch" => batch(stage, line).await,
        "resend" => {
            let name = line.word();
            let (envelope, before) = (stage.messages[&name].clone(), stage.positions[&name]);
            send(stage, line, envelope, Some(name.clone())).await;
            assert_eq!(stage.positions[&name], before, "{}: another position", line.place);
        }
        "replies" => {
            let asked = stage.messages[&line.word()].clone();
            let mesh = stage.player(line).mesh.clone();
            let draft = mesh.reply_draft(&asked, &act(line, "inform")).unwrap();
            let draft = draft.json(canonical_json(&line.take("payload")).unwrap());
            let more = line.flag("more").unwrap_or_default();
            let draft = if more { draft.extension("more", "true") } else { draft };
            send(stage, line, mesh.sign(draft).unwrap(), None).await;
        }
        _ => {
            let envelope = compose(stage, line).await;
            let name = line.text("as");
            send(stage, line, envelope, name).await;
        }
    }
}

pub(crate) fn act(line: &mut Line, default: &str) -> Performative {
    line.text("act").unwrap_or_else(|| default.to_owned()).parse().unwrap()
}

async fn compose(stage: &mut Stage, line: &mut Line) -> Envelope {
    let mesh = stage.player(line).mesh.clone();
    let id = line.text("id").unwrap_or_else(|| new_message_id().unwrap());
    let to = mesh.address(&line.needed("to")).unwrap();
    let draft = Draft::new(id, now(), &to, &act(line, "inform"));
    let draft = put_payload(line, draft);
    let draft = put_options(stage, line, draft);
    let draft = put_conversation(stage, line, &mesh, draft).await;
    let signed = line.flag("signed").unwrap_or(true);
    if signed { mesh.sign(draft) } else { mesh.unsigned(draft) }.unwrap()
}

fn put_payload(line: &mut Line, draft: Draft) -> Draft {
    match (line.take("payload"), line.text("text")) {
        (Some(payload), _) => draft.json(canonical_json(&payload).unwrap()),
        (None, Some(text)) => draft.payload("text/plain", text.into_bytes()),
        (None, None) => draft,
    }
}

fn put_options(stage: &Stage, line: &mut Line, mut draft: Draft) -> Draft {
    if let Some(level) = line.text("level") {
        draft = draft.ack_level(&level);
    }
    if let Some(priority) = line.text("priority") {
        draft = draft.extension("priority", &priority);
    }
    if let Some(expires) = line.number("expires") {
        draft = draft.expires(now().plus_ms(expires));
    }
    if let Some(wait) = line.number("not-before") {
        draft = draft.not_before(now().plus_ms(wait));
    }
    if let Some(by) = line.number("reply-by") {
        draft = draft.reply_by(now().plus_ms(by));
    }
    if let Some(answered) = line.text("in-reply-to") {
        draft = draft.in_reply_to(stage.messages[&answered].attributes.get("id").unwrap());
    }
    let parents: Vec<_> = line.texts("parents").iter().map(|digest| digest.parse().unwrap()).collect();
    if !parents.is_empty() {
        draft = draft.parents(&parents);
    }
    if let Some(Value::Object(invite)) = line.take("invite") {
        let agents = invite.iter().map(|(role, agent)| (&**role, agent.as_str().unwrap().parse().unwrap()));
        draft = draft.invite(&agents.collect::<Vec<_>>());
    }
    draft
}

async fn put_conversation(stage: &mut Stage, line: &mut Line, mesh: &Mesh, mut draft: Draft) -> Draft {
    if let Some(schema) = line.text("schema") {
        draft = draft.schema(&mesh.get_schema(&schema).await.unwrap().name);
    }
    if let Some(protocol) = line.text("protocol") {
        let protocol = mesh.get_protocol(&protocol).await.unwrap().name;
        draft = draft.conversation(&protocol, &stage.conversation(&line.needed("conversation")));
    }
    draft
}

async fn send(stage: &mut Stage, line: &mut Line, envelope: Envelope, name: Option<String>) {
    let mesh = stage.player(line).mesh.clone();
    let sent = within(line, mesh.send(envelope.clone())).await.unwrap();
    let expected = line.text("expect").unwrap_or_else(|| "accepted".to_owned());
    let (duplicate, level) = (line.flag("duplicate"), line.text("level-given"));
    let place = line.place.clone();
    match sent {
        Sent::Rejected(problem) => check_problem(line, &problem, Some(&expected)),
        Sent::Passed => {
            assert_eq!(expected, "passed", "{place}");
            stage.keep(name, envelope, None);
        }
        Sent::Unknown => panic!("{place}: unknown"),
        Sent::Accepted(signed) => {
            assert_eq!(expected, "accepted", "{place}");
            let receipt = signed.receipt.clone();
            assert!(duplicate.is_none_or(|duplicate| duplicate == receipt.duplicate), "{place}");
            assert!(level.is_none_or(|level| level == level_text(receipt.level)), "{place}");
            if let Some(name) = name.clone() {
                stage.receipts.insert(name, signed.clone());
            }
            stage.keep(name, envelope, receipt.position.map(|position| position.seq));
        }
    }
}

fn level_text(level: Level) -> &'static str {
    match level {
        Level::Received => "received",
        Level::Durable => "durable",
    }
}

async fn batch(stage: &mut Stage, line: &mut Line) {
    let mesh = stage.player(line).mesh.clone();
    let (to, count) = (line.needed("to"), line.unsigned("count").unwrap());
    let draft = |number: u64| {
        let draft = mesh.draft(&to, &Performative::Inform).unwrap();
        draft.json(canonical_json(&number).unwrap())
    };
    let envelopes = mesh.sign_batch((1..=count).map(draft).collect()).unwrap();
    let passed = line.text("expect").is_some_and(|expected| expected == "passed");
    for sent in within(line, mesh.send_batch(envelopes)).await.unwrap() {
        let fits = matches!((&sent, passed), (Sent::Passed, true) | (Sent::Accepted(_), false));
        assert!(fits, "{}: {sent:?}", line.place);
    }
}
