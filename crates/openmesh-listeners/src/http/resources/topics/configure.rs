//! `PUT /v1/topics/{topic}`: says how the topics of a pattern are kept.

use super::configuration::{answer, retention, setting, version_of};
use crate::http::operation::{Access, Answer, Call, ETAG, Operation, TOPIC_PATTERN};
use crate::http::resources::row;
use crate::http::shape::{Shape, formed, formed_or_empty, optional, required};
use axum::http::{Method, StatusCode};
use openmesh_message::frame::{Command, Retention};
use openmesh_message::limits::TOPIC_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Asked {
    pinned: bool,
    #[serde(default)]
    retention: Retention,
}

pub(super) fn operation() -> Operation {
    let asked = Shape::Object(vec![
        required("pinned", Shape::Boolean, "whether messages are kept"),
        optional("retention", retention(), "how much of them is handed out; all if not said"),
    ]);
    Operation::new(Method::PUT, "/v1/topics/{topic}", "configureTopic", |call| Box::pin(run(call)))
        .about("topics", "Says how topics are kept", "A topic, or a pattern of topics.")
        .access(Access::Administrator)
        .in_path("topic", formed(TOPIC_BYTES_MAX, TOPIC_PATTERN), "A topic or pattern; its slashes as `%2F`.")
        .example("market/*")
        .in_header(
            "If-Match",
            formed_or_empty(70, ETAG),
            "Change it only if it still has this entity tag; `\"0\"` if it has none.",
        )
        .takes(asked, json!({"pinned": true, "retention": {"age_ms": 86_400_000}}))
        .answers(200, "How they are kept", setting())
        .problems(&[412, 415])
}

async fn run(call: Call) -> Answer {
    let Asked { pinned, retention } = call.json()?;
    let expected_version = version_of(call.text("If-Match"))?;
    let topic = format!("topic:{}", call.path("topic"));
    let token = call.caller.admin_token();
    let command = Command::SetTopic { topic, pinned, retention, expected_version, token };
    let setting = row(call.door.ask(call.caller.agent, command).await?);
    Ok(answer(StatusCode::OK, &setting, &setting))
}
