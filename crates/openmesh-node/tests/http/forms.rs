//! One message in every form: the same verdict and the same digest, whichever way it comes.

use crate::client::{Node, Response};
use serde_json::{Value, json};

/// Good and bad messages, as structured events without id.
fn messages() -> Vec<Value> {
    vec![
        json!({"to": "inbox:bob", "data": {"a": 1}}),
        json!({"to": "topic:news", "data": "text"}),
        json!({"to": "inbox:bob", "datacontenttype": "text/plain", "data": "plain"}),
        json!({"to": "inbox:bob", "data_base64": "AAEC", "datacontenttype": "application/octet-stream"}),
        json!({"to": "inbox:bob", "subject": "ünï cödé %20", "data": 1}),
        json!({"to": "inbox:bob", "performative": "shout"}),
        json!({"to": "inbox:bob", "performative": "request", "replyby": "yesterday"}),
        json!({"to": "inbox:nobody", "data": 1}),
        json!({"to": "nowhere", "data": 1}),
        json!({"to": "inbox:bob", "budget": "3"}),
        json!({"to": "inbox:bob", "time": "2001-01-01T00:00:00Z"}),
        json!({"to": "topic:$mesh/health", "data": 1}),
        json!({"to": "inbox:bob", "source": "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"}),
        json!({"to": "inbox:bob", "specversion": "0.3"}),
        json!({"to": "inbox:bob", "dataschema": "market/rfp@^1", "data": {"id": 5}}),
        json!({"to": "inbox:bob", "protocol": "market/negotiation@^1"}),
    ]
}

/// What counts of an outcome: accepted with its digest, or the code of its refusal.
fn verdict(outcome: &Value) -> String {
    match outcome["receipt"]["digest"].as_str() {
        Some(digest) => format!("accepted {digest}"),
        None => outcome["problem"]["code"].as_str().or(outcome["outcome"].as_str()).unwrap().to_owned(),
    }
}

fn single(answer: &Response) -> String {
    if answer.status < 300 { verdict(&answer.json()) } else { answer.code() }
}

#[test]
fn every_form_gives_the_same_verdict_and_digest() {
    let node = Node::start(&[]);
    let token = node.agent("alice", &["send", "read"]);
    node.agent("bob", &["inbox"]);
    let time = openmesh_message::Timestamp::from_millis(now_ms()).to_string();
    for (number, message) in messages().into_iter().enumerate() {
        let mut event = message.as_object().unwrap().clone();
        event.insert("id".to_owned(), json!(format!("m-{number}")));
        event.entry("time").or_insert(json!(time));
        let event = Value::Object(event);
        let post = || node.post("/v1/messages").bearer(&token);
        let structured = single(&post().body("application/cloudevents+json", event.to_string()).send());
        let binary = single(&binary(post(), &event).send());
        let batch = post().body("application/cloudevents-batch+json", json!([event]).to_string()).send();
        assert_eq!(batch.status, 200, "{batch:?}");
        let batch = verdict(&batch.json()["outcomes"][0]);
        println!("{number}: {structured}");
        assert_eq!(structured, binary, "{event}");
        assert_eq!(structured, batch, "{event}");
    }
}

/// The event in binary mode.
fn binary(mut request: crate::client::Request, event: &Value) -> crate::client::Request {
    let mut media = "application/json".to_owned();
    let mut body = Vec::new();
    for (name, value) in event.as_object().unwrap() {
        match (name.as_str(), value) {
            ("data_base64", _) => body = vec![0, 1, 2],
            ("data", Value::String(text)) if event["datacontenttype"] == "text/plain" => {
                body = text.clone().into_bytes();
            }
            ("data", value) => body = value.to_string().into_bytes(),
            ("datacontenttype", value) => media = value.as_str().unwrap().to_owned(),
            (name, value) => {
                request = request.header(&format!("ce-{name}"), &encoded(value.as_str().unwrap()))
            }
        }
    }
    if body.is_empty() {
        // Without data there is no type of it either.
        return request;
    }
    request.body(&media, body)
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'!' | b'#'..=b'$' | b'&'..=b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
