//! Streams of server-sent events: live, resumed without a seam, and ended with their token.

use crate::client::{Node, read_head};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;

/// One event: its id and its data.
fn next_event(reader: &mut BufReader<TcpStream>) -> (Option<u64>, Value) {
    let mut id = None;
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the stream ended");
        if let Some(number) = line.strip_prefix("id: ") {
            id = number.trim().parse().ok();
        }
        if let Some(data) = line.strip_prefix("data: ") {
            return (id, serde_json::from_str(data).unwrap());
        }
    }
}

fn open(node: &Node, token: &str, target: &str, last: Option<u64>) -> BufReader<TcpStream> {
    let request = node.get(target).bearer(token);
    let request = match last {
        Some(last) => request.header("Last-Event-ID", &last.to_string()),
        None => request,
    };
    let mut reader = request.open();
    let (status, headers) = read_head(&mut reader);
    assert_eq!(status, 200, "{headers:?}");
    reader
}

fn post(node: &Node, token: &str, number: u64) {
    let event = json!({"to": "topic:news/today", "data": number});
    assert_eq!(node.post("/v1/messages").bearer(token).json(&event).send().status, 201);
}

#[test]
fn a_stream_goes_on_after_its_last_event() {
    let node = Node::start(&["--pin", "news/**"]);
    let token = node.agent("carol", &["send", "read"]);
    let target = "/v1/topics/news%2F**/messages";
    let mut stream = open(&node, &token, target, None);
    for number in 0..3 {
        post(&node, &token, number);
    }
    let (first, event) = next_event(&mut stream);
    assert_eq!(event["data"], 0, "{event}");
    drop(stream);
    post(&node, &token, 3);
    let mut resumed = open(&node, &token, target, first);
    let read: Vec<_> = (0..3).map(|_| next_event(&mut resumed).1["data"].clone()).collect();
    assert_eq!(read, [json!(1), json!(2), json!(3)]);
}

#[test]
fn a_tail_follows_the_log_from_where_it_is_opened() {
    let node = Node::start(&["--pin", "news/**"]);
    let token = node.agent("carol", &["send", "read"]);
    post(&node, &token, 0);
    let mut tail = open(&node, &token, "/v1/tail?kind=message&topic=news/**", None);
    post(&node, &token, 1);
    let (id, record) = next_event(&mut tail);
    assert_eq!(record["message"]["payload"], 1, "{record}");
    assert_eq!(record["seq"].as_u64(), id);
    let mut from_the_start = open(&node, &token, "/v1/tail?kind=message", Some(0));
    assert_eq!(next_event(&mut from_the_start).1["message"]["payload"], 0);
}

#[test]
fn a_stream_of_what_may_not_be_read_is_refused() {
    let node = Node::start(&[]);
    let token = node.agent("carol", &["send"]);
    assert_eq!(node.get("/v1/topics/a/messages").bearer(&token).send().code(), "token.scope");
}
