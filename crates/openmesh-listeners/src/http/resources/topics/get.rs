//! `GET /v1/topics/{topic}`: how a topic or the topics of a pattern are kept, and what is there of each.

use super::configuration::{answer, retention, setting};
use crate::http::operation::{Access, Answer, Call, Operation, TOPIC, TOPIC_PATTERN};
use crate::http::resources::rows;
use crate::http::shape::{NUMBER_MAX, Shape, formed, required, text};
use axum::http::{Method, StatusCode};
use openmesh_message::Scope;
use openmesh_message::frame::Command;
use openmesh_message::limits::TOPIC_BYTES_MAX;
use serde_json::{Value, json};

/// Topics of one answer.
const TOPICS_MAX: i64 = 500;
const TOPICS: u64 = 100;

pub(super) fn operation() -> Operation {
    let nullable = |shape| Shape::Any(vec![shape, Shape::Null]);
    let topic = Shape::Open(
        vec![
            required("topic", text(TOPIC_BYTES_MAX), ""),
            required("pinned", Shape::Boolean, ""),
            required("by", nullable(text(TOPIC_BYTES_MAX)), "the pattern that says so"),
            required("retention", retention(), ""),
            required("messages", Shape::Integer(0, NUMBER_MAX), ""),
        ],
        Box::new(Shape::Json),
    );
    let shown = Shape::Object(vec![
        required("setting", setting(), "what was said of just this topic or pattern"),
        required(
            "topics",
            Shape::List(Box::new(topic), TOPICS_MAX as usize),
            "those that the caller may read",
        ),
    ]);
    Operation::new(Method::GET, "/v1/topics/{topic}", "getTopic", |call| Box::pin(run(call)))
        .about("topics", "Shows how topics are kept", "With an entity tag, to change it with `If-Match`.")
        .access(Access::Scope(Scope::Read))
        .in_path("topic", formed(TOPIC_BYTES_MAX, TOPIC_PATTERN), "A topic or pattern; its slashes as `%2F`.")
        .example("market/*")
        .in_query("after", formed(TOPIC_BYTES_MAX, TOPIC), "Begin after this topic.")
        .in_query("pageSize", Shape::Integer(1, TOPICS_MAX), "At most this many topics; 100 if not said.")
        .answers(200, "How they are kept", shown)
}

async fn run(call: Call) -> Answer {
    let topics_max = u32::try_from(call.number("pageSize").unwrap_or(TOPICS)).unwrap_or(u32::MAX);
    let after = call.text("after").map(str::to_owned);
    let topic = format!("topic:{}", call.path("topic"));
    let reply = call.door.ask(call.caller.agent, Command::GetTopic { topic, after, topics_max }).await?;
    let mut rows = rows(reply).into_iter();
    let setting = rows.next().unwrap_or(Value::Null);
    let body = json!({"setting": setting, "topics": rows.collect::<Vec<_>>()});
    Ok(answer(StatusCode::OK, &setting, &body))
}
