//! What is refused, each with its code and status, before anything is done.

use crate::client::Node;
use serde_json::json;

#[test]
fn who_may_not_call_is_told_so() {
    let node = Node::start(&[]);
    let reader = node.agent("reader", &["read"]);
    let ask = |token: Option<&str>, method: &str, target: &str| {
        let request = node.request(method, target);
        let request = match token {
            Some(token) => request.bearer(token),
            None => request,
        };
        if method == "POST" { request.json(&json!({"to": "topic:news"})).send() } else { request.send() }
    };
    let missing = ask(None, "GET", "/v1/agents");
    assert_eq!((missing.status, missing.code().as_str()), (401, "token.missing"));
    assert!(missing.header("WWW-Authenticate").unwrap().starts_with("Bearer"));
    let invalid = ask(Some("omt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "GET", "/v1/agents");
    assert_eq!((invalid.status, invalid.code().as_str()), (401, "token.invalid"));
    assert!(invalid.header("WWW-Authenticate").unwrap().contains("invalid_token"));
    assert_eq!(ask(Some(&reader), "POST", "/v1/messages").code(), "token.scope");
    assert_eq!(ask(Some(&reader), "GET", "/v1/inbox").code(), "token.scope");
    assert_eq!(ask(Some(&node.admin_token()), "POST", "/v1/messages").code(), "token.scope");
    assert_eq!(ask(Some(&reader), "GET", "/v1/agents").status, 200);
    let digest = openmesh_message::Digest::of(reader.as_bytes());
    let revoke = node.request("DELETE", &format!("/v1/tokens/{digest}")).bearer(&node.admin_token()).send();
    assert_eq!(revoke.status, 204);
    assert_eq!(ask(Some(&reader), "GET", "/v1/agents").code(), "token.invalid");
    let closed = node.post("/v1/agents").json(&json!({"name": "eve"})).send();
    assert_eq!((closed.status, closed.code().as_str()), (403, "policy.denied"));
}

#[test]
fn a_request_of_another_shape_is_refused_where_it_differs() {
    let node = Node::start(&[]);
    let token = node.agent("carol", &["send", "read", "inbox", "publish"]);
    let get = |target: &str| node.get(target).bearer(&token).send();
    let post = |target: &str, body: serde_json::Value| node.post(target).bearer(&token).json(&body).send();
    assert_eq!(get("/v1/nothing").code(), "path.unknown");
    let wrong_method = node.request("PATCH", "/v1/agents").bearer(&token).send();
    assert_eq!(
        (wrong_method.code().as_str(), wrong_method.header("Allow")),
        ("method.not_allowed", Some("GET, POST"))
    );
    for (answer, code, pointer) in [
        (get("/v1/agents?x=1"), "argument.malformed", "x"),
        (get("/v1/log?pageSize=0"), "argument.malformed", "pageSize"),
        (get("/v1/log?pageSize=1&pageSize=2"), "argument.malformed", "pageSize"),
        (get("/v1/log?verdict=maybe"), "argument.malformed", "verdict"),
        (get("/v1/log?pageToken=p1-1-x"), "argument.malformed", "pageToken"),
        (post("/v1/inbox:lease", json!({"messages": 1})), "argument.malformed", "/messages"),
        (post("/v1/inbox:lease", json!({"messages_max": 257})), "argument.malformed", "/messages_max"),
        (post("/v1/inbox:ack", json!({})), "argument.malformed", ""),
        (post("/v1/messages", json!({"to": []})), "attribute.malformed", "to"),
        (post("/v1/messages", json!({"to": "nowhere"})), "address.relative", "to"),
        (post("/v1/messages", json!({"data": 1})), "attribute.missing", "to"),
        (post("/v1/messages", json!({"to": "inbox:nobody", "data": 1})), "address.unknown_agent", "-"),
    ] {
        assert_eq!(answer.code(), code, "{answer:?}");
        assert_eq!(answer.json()["pointer"].as_str().unwrap_or("-"), pointer, "{answer:?}");
    }
    let media = node.post("/v1/messages").bearer(&token).body("text/plain", "hello").send();
    assert_eq!((media.status, media.code().as_str()), (415, "media_type.unsupported"));
    let broken = node
        .post("/v1/messages")
        .bearer(&token)
        .body("application/cloudevents+json", "{\"a\":1,\"a\":2}")
        .send();
    assert_eq!(broken.code(), "json.duplicate_key");
    let large = node
        .post("/v1/messages")
        .bearer(&token)
        .body("application/cloudevents+json", vec![b' '; 1_600_000])
        .send();
    assert_eq!((large.status, large.code().as_str()), (413, "message.too_large"));
}

#[test]
fn forbidden_and_absent_give_the_same_bytes() {
    let node = Node::start(&[]);
    let (carol, eve) = (node.agent("carol", &["send", "read"]), node.agent("eve", &["send", "read"]));
    let sent = node
        .post("/v1/messages")
        .bearer(&carol)
        .json(&json!({"to": "inbox:carol", "id": "m-1", "data": 1}))
        .send();
    assert_eq!(sent.status, 201);
    let digest = sent.json()["receipt"]["digest"].as_str().unwrap().to_owned();
    let absent = "A".repeat(43);
    let body = |target: &str, token: &str| node.get(target).bearer(token).send().body;
    assert_eq!(body("/v1/log?id=m-1", &eve), body("/v1/log?id=m-2", &eve));
    assert_eq!(body("/v1/log?agent=nobody", &eve), body("/v1/log?id=m-2", &eve));
    let receipt = |digest: &str, token: &str| body(&format!("/v1/receipts/{digest}?id=m-1"), token);
    assert_eq!(receipt(&digest, &eve), receipt(&absent, &eve));
    assert_ne!(receipt(&digest, &carol), receipt(&absent, &carol));
}
