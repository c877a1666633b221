//! `GET /v1/log`: records, page by page.

use super::csv::to_csv;
use super::page::Asked;
use super::{expression_of, filter_of, with_filter};
use crate::http::operation::{Access, Answer, Call, Operation, json_answer};
use crate::http::shape::{Shape, optional, required, text};
use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use openmesh_message::Scope;
use openmesh_message::frame::{Command, LogPage, Reply};
use serde_json::{Value, json};
use std::time::Duration;

/// Records of one page.
const PAGE_RECORDS_MAX: i64 = 1_000;
const PAGE_RECORDS: u64 = 100;
/// Longest wait for a record.
const WAIT_MS_MAX: i64 = 60_000;
const JSON_LINES: &str = "application/jsonl";
const CSV: &str = "text/csv";

pub(super) fn operation() -> Operation {
    let record = Shape::Open(Vec::new(), Box::new(Shape::Json));
    let records = Shape::List(Box::new(record), PAGE_RECORDS_MAX as usize);
    let page = Shape::Object(vec![
        required("records", records, "those that fit and that the caller may read"),
        required("next_page_token", Shape::Any(vec![text(128), Shape::Null]), "null at the end"),
        optional(
            "index_building",
            Shape::Integer(0, 1_000),
            "thousandths of the log that the index covers so far",
        ),
    ]);
    let operation = Operation::new(Method::GET, "/v1/log", "queryLog", |call| Box::pin(run(call)))
        .about(
            "log",
            "Asks the log",
            "All filters given must fit. A page may be empty and still name where the next begins. With \
             `Accept: application/jsonl` or `text/csv` a page comes in that form, and the token of the next in the \
             header `OpenMesh-Next-Page-Token`.",
        )
        .access(Access::Scope(Scope::Read));
    with_filter(operation)
        .in_query(
            "pageSize",
            Shape::Integer(1, PAGE_RECORDS_MAX),
            "At most this many records; 100 if not said.",
        )
        .in_query(
            "pageToken",
            text(128),
            "Where to go on, from the page before; the other parameters must be the same.",
        )
        .in_query("newestFirst", Shape::Boolean, "Whether the newest records come first.")
        .in_query(
            "waitMs",
            Shape::Integer(0, WAIT_MS_MAX),
            "How long to wait for a record where there is none.",
        )
        .answers(200, "A page", page)
        .answers_media(200, "A page", JSON_LINES, Shape::Json)
        .answers_media(200, "A page", CSV, Shape::Json)
}

async fn run(call: Call) -> Answer {
    let filter = filter_of(&call)?;
    let expression = expression_of(&call)?;
    let newest_first = call.is("newestFirst");
    let asked = Asked { agent: call.caller.agent, filter: &filter, newest_first };
    let after_seq = call.text("pageToken").map(|token| asked.after_seq(token)).transpose()?.unwrap_or(0);
    let wait_ms = call.number("waitMs").unwrap_or(0);
    let size = call.number("pageSize").unwrap_or(PAGE_RECORDS);
    let command = Command::QueryLog {
        filter: Box::new(filter.clone()),
        after_seq,
        records_max: u32::try_from(size).unwrap_or(u32::MAX),
        wait_ms,
        newest_first,
    };
    let wait = Duration::from_millis(wait_ms);
    let page = match call.door.ask_within(call.caller.agent, command, wait).await? {
        Reply::Log(page) => page,
        _ => LogPage::default(),
    };
    let fits = |record: &Value| expression.as_ref().is_none_or(|expression| expression.fits(record));
    let records = page.records.iter().filter_map(|record| serde_json::from_str(record).ok());
    let records: Vec<Value> = records.filter(fits).collect();
    let next = page.next_after_seq.map(|seq| asked.token(seq));
    answer(&call, &records, next, page.index_building)
}

fn answer(call: &Call, records: &[Value], next: Option<String>, building: Option<u16>) -> Answer {
    let (media, body) = if call.accepts(JSON_LINES) {
        (JSON_LINES, records.iter().map(|record| format!("{record}\n")).collect())
    } else if call.accepts(CSV) {
        (CSV, to_csv(records))
    } else {
        let mut page = json!({"records": records, "next_page_token": next});
        if let (Some(building), Some(page)) = (building, page.as_object_mut()) {
            page.insert("index_building".to_owned(), json!(building));
        }
        return Ok(json_answer(StatusCode::OK, &page));
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    if let Some(Ok(token)) = next.as_deref().map(HeaderValue::from_str) {
        headers.insert("openmesh-next-page-token", token);
    }
    Ok(response)
}
