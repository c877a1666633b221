//! What callers do: idempotency, topics under their version, pages, requests with replies.

use crate::client::Node;
use serde_json::json;
use std::thread;

#[test]
fn a_key_gets_the_first_response_again_and_another_request_with_it_none() {
    let node = Node::start(&[]);
    let token = node.agent("carol", &["send", "inbox"]);
    let post = |data: u64| {
        let event = json!({"to": "inbox:carol", "data": data});
        node.post("/v1/messages").bearer(&token).header("Idempotency-Key", "k-1").json(&event).send()
    };
    let (first, again) = (post(1), post(1));
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(post(2).code(), "idempotency.mismatch");
    let counts = node.get("/v1/inbox").bearer(&token).send().json();
    assert_eq!(counts["accepted"], 1, "{counts}");
}

#[test]
fn a_topic_changes_only_under_the_version_that_was_seen() {
    let node = Node::start(&[]);
    let (admin, token) = (node.admin_token(), node.agent("carol", &["read", "send"]));
    let put = |tag: &str| {
        let request = node.request("PUT", "/v1/topics/chat").bearer(&admin).header("If-Match", tag);
        request.json(&json!({"pinned": true, "retention": {"messages": 2}})).send()
    };
    let seen = node.get("/v1/topics/chat").bearer(&token).send();
    assert_eq!(seen.header("ETag"), Some("\"0\""));
    assert_eq!(put("\"0\"").status, 200);
    assert_eq!(put("\"0\"").code(), "version.mismatch");
    assert_eq!(put("").code(), "version.mismatch", "an empty list of tags matches nothing");
    let seen = node.get("/v1/topics/chat").bearer(&token).send();
    assert_eq!(seen.json()["setting"]["retention"]["messages"], 2, "{seen:?}");
    assert_eq!(put(seen.header("ETag").unwrap()).status, 200);
}

#[test]
fn pages_go_on_without_a_seam_and_a_token_is_good_for_its_question_alone() {
    let node = Node::start(&[]);
    let (token, other) = (node.agent("carol", &["send", "read"]), node.agent("eve", &["read"]));
    for number in 0..7 {
        let event = json!({"to": "inbox:carol", "data": number});
        assert_eq!(node.post("/v1/messages").bearer(&token).json(&event).send().status, 201);
    }
    let mut found = Vec::new();
    let mut target = "/v1/log?kind=message&pageSize=3".to_owned();
    loop {
        let page = node.get(&target).bearer(&token).send().json();
        found.extend(page["records"].as_array().unwrap().iter().map(|row| row["message"]["payload"].clone()));
        let Some(next) = page["next_page_token"].as_str() else { break };
        target = format!("/v1/log?kind=message&pageSize=3&pageToken={next}");
        assert_eq!(node.get(&target).bearer(&other).send().code(), "argument.malformed");
        let changed = target.replace("kind=message", "kind=refused");
        assert_eq!(node.get(&changed).bearer(&token).send().code(), "argument.malformed");
    }
    assert_eq!(found, (0..7).map(|number| json!(number)).collect::<Vec<_>>());
}

#[test]
fn a_request_gathers_its_reply() {
    let node = Node::start(&[]);
    let (asker, answerer) = (node.agent("asker", &["send"]), node.agent("answerer", &["send", "inbox"]));
    thread::scope(|scope| {
        scope.spawn(|| {
            let asked = json!({"wait_ms": 20_000});
            let leased = node.post("/v1/inbox:lease").bearer(&answerer).json(&asked).send().json();
            let request = &leased["messages"][0]["event"];
            let reply = json!({
                "to": request["source"], "inreplyto": request["id"], "performative": "inform", "data": {"price": 5},
            });
            let sent = node.post("/v1/messages").bearer(&answerer).json(&reply).send();
            assert!(sent.status < 300, "{sent:?}");
        });
        let request = json!({"to": "inbox:answerer", "data": {"ask": "price"}});
        let answer = node.post("/v1/requests?waitMs=20000").bearer(&asker).json(&request).send();
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["replies"][0]["data"]["price"], 5, "{answer}");
        assert_eq!(answer["complete"], true);
    });
}
