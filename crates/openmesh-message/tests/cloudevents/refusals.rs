//! What is no message is refused with a reason of its own, and nothing is dropped.

use openmesh_message::cloudevents::{EVENTS_MAX, EventError, from_batch, from_headers, from_json};
use openmesh_message::json::JsonError;

fn refused(text: &str) -> EventError {
    from_json(text.as_bytes()).unwrap_err()
}

#[test]
fn json_of_another_shape_is_refused() {
    assert!(matches!(refused("[]"), EventError::Shape(_)));
    assert!(matches!(refused("7"), EventError::Shape(_)));
    assert!(matches!(refused(r#"{"data":1,"data_base64":"AA=="}"#), EventError::Shape(_)));
    assert!(matches!(refused(r#"{"id":"1","id":"2"}"#), EventError::Json(JsonError::DuplicateKey(_))));
    assert!(matches!(
        refused(r#"{"data":9007199254740992}"#),
        EventError::Json(JsonError::NumberOutOfRange(_))
    ));
    assert!(matches!(from_batch(b"{}"), Err(EventError::Shape(_))));
    let many = format!("[{}]", vec!["{}"; EVENTS_MAX + 1].join(","));
    assert!(matches!(from_batch(many.as_bytes()), Err(EventError::Shape(_))));
}

#[test]
fn the_refused_attribute_is_named() {
    for (text, name) in [
        (r#"{"x":1.5}"#, "x"),
        (r#"{"x":2147483648}"#, "x"),
        (r#"{"x":[]}"#, "x"),
        (r#"{"x":""}"#, "x"),
        (r#"{"X":"1"}"#, "X"),
        (r#"{"hops":"1"}"#, "hops"),
        (r#"{"proof":"ed25519;me;x"}"#, "proof"),
        (r#"{"position":"1.2"}"#, "position"),
        (r#"{"receivedtime":"noon"}"#, "receivedtime"),
        (r#"{"data_base64":"*"}"#, "data_base64"),
        (r#"{"datacontenttype":"text/plain","data":{}}"#, "data"),
    ] {
        assert_eq!(refused(text).attribute(), Some(name), "{text}");
    }
    let header = |name, value: &'static [u8]| from_headers([(name, value)], bytes::Bytes::new());
    assert_eq!(header("ce-datacontenttype", b"a/b").unwrap_err().attribute(), Some("datacontenttype"));
    assert_eq!(header("ce-data", b"1").unwrap_err().attribute(), Some("data"));
    let twice = [("ce-id", &b"1"[..]), ("ce-id", b"2")];
    assert_eq!(from_headers(twice, bytes::Bytes::new()).unwrap_err().attribute(), Some("id"));
}

#[test]
fn booleans_integers_and_null_are_what_cloudevents_says() {
    let envelope = from_json(br#"{"more":true,"attempt":-3,"subject":null}"#).unwrap();
    assert_eq!(envelope.attributes.get("more"), Some("true"));
    assert_eq!(envelope.attributes.get("attempt"), Some("-3"));
    assert_eq!(envelope.attributes.get("subject"), None);
}

#[test]
fn a_payload_may_be_as_deep_and_as_wide_as_natively() {
    let nested = |depth: usize| format!(r#"{{"data":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(from_json(nested(64).as_bytes()).is_ok());
    assert_eq!(refused(&nested(65)), EventError::Json(JsonError::TooDeep));
}

#[test]
fn one_bad_event_of_a_batch_leaves_the_others() {
    let read = from_batch(br#"[{"id":"1"},{"id":[]},3]"#).unwrap();
    let good: Vec<_> = read.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, false]);
}
