//! Strict JSON: what a payload may be.

use crate::fixture::hex;
use openmesh_message::json::{JsonError, parse_strict};
use serde_json::{Value, json};

pub(crate) fn strict_json() -> Value {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let texts = [
        "{}",
        "[]",
        "null",
        "\"x\"",
        "1",
        "-0",
        "1.5e3",
        r#"{"a":[1,-2.5,"x",null,true],"b":{}}"#,
        " [ 1 ] \n",
        "9007199254740991",
        "-9007199254740991",
        "9007199254740992",
        "-9007199254740992",
        "1e400",
        "1e17",
        "9007199254740991.0",
        "18446744073709551616",
        r#"{"a":1,"a":2}"#,
        r#"{"a":{"b":1,"b":1}}"#,
        r#"{"a":1,"\u0061":2}"#,
        "{} {}",
        "",
        "{",
        "NaN",
        "Infinity",
        "[1,]",
        "{'a':1}",
        "01",
        "\"\\ud800\"",
        "\u{feff}{}",
        "// x\n1",
        "\"a\tb\"",
        r#"{"constructor":{"a":1},"__proto__":2}"#,
    ];
    let mut cases: Vec<_> = texts.iter().map(|text| case(text, text.as_bytes())).collect();
    for depth in [64, 65, 200] {
        cases.push(case(&format!("{depth} levels"), nested(depth).as_bytes()));
    }
    for bytes in [b"\"\xff\"".as_slice(), b"\"\xed\xa0\x80\"", b"\xc0\xafx"] {
        cases.push(case("bytes that are no UTF-8", bytes));
    }
    json!({
        "what": "payload bytes of JSON media types, and the code they are refused with (null: taken)",
        "made": "10,000 keys k0, k1, … of value 1 in one object are taken; 10,001 are refused with json.too_many_keys",
        "cases": cases,
    })
}

fn case(what: &str, bytes: &[u8]) -> Value {
    let code = match parse_strict(bytes) {
        Ok(_) => None,
        Err(JsonError::NotUtf8(_)) => Some("json.not_utf8"),
        Err(JsonError::Malformed(_)) => Some("json.malformed"),
        Err(JsonError::TooDeep) => Some("json.too_deep"),
        Err(JsonError::TooManyKeys) => Some("json.too_many_keys"),
        Err(JsonError::DuplicateKey(_)) => Some("json.duplicate_key"),
        Err(JsonError::NumberOutOfRange(_)) => Some("json.number_out_of_range"),
    };
    json!({"what": what, "bytes": hex(bytes), "code": code})
}

#[test]
fn the_count_of_keys_is_as_the_vectors_say() {
    let object = |keys: u32| {
        let keys: Vec<_> = (0..keys).map(|key| format!("\"k{key}\":1")).collect();
        format!("{{{}}}", keys.join(","))
    };
    assert!(parse_strict(object(10_000).as_bytes()).is_ok());
    assert_eq!(parse_strict(object(10_001).as_bytes()), Err(JsonError::TooManyKeys));
}
