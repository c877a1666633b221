//! What is read and what is not; the reader beside serde's, which says why not.

use super::{Document, JsonError, Kind, PAYLOAD, Part, objection, parse_strict, reader};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::sample::select;
use serde_json::Value;

#[test]
fn ordinary_json_is_read_as_it_is() {
    let value = parse_strict(br#"{"a":[1,-2.5,"x",null,true],"b":{}}"#).unwrap();
    assert_eq!(value, serde_json::json!({"a": [1, -2.5, "x", null, true], "b": {}}));
}

#[test]
fn each_excess_has_its_own_error() {
    let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
    let depth_64 = format!("{}1{}", "[".repeat(64), "]".repeat(64));
    let keys: Vec<_> = (0..10_001).map(|i| format!("\"k{i}\":1")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    assert!(parse_strict(depth_64.as_bytes()).is_ok());
    assert_eq!(parse_strict(deep.as_bytes()), Err(JsonError::TooDeep));
    assert_eq!(parse_strict(keys.as_bytes()), Err(JsonError::TooManyKeys));
    assert_eq!(parse_strict(br#"{"a":1,"a":2}"#), Err(JsonError::DuplicateKey("a".into())));
    assert_eq!(parse_strict(b"\"\xff\""), Err(JsonError::NotUtf8(1)));
    for number in ["9007199254740992", "-9007199254740992", "1e400", "1e17", "18446744073709551616"] {
        assert!(matches!(parse_strict(number.as_bytes()), Err(JsonError::NumberOutOfRange(_))), "{number}");
    }
    assert!(matches!(parse_strict(b"{} {}"), Err(JsonError::Malformed(_))));
    assert!(parse_strict(b"9007199254740991").is_ok());
}

/// Texts at the border of what is taken.
#[rustfmt::skip]
const TEXTS: [&str; 78] = [
    "", " ", "null", "nul", "nulll", "true ", "tru", "false", "falsy", "1 2", "[1,]", "[,1]", "{,}", "[",
    "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}", "\"", "\"a", "\"a\\",
    "\"\\x\"", "0", "-0", "00", "01", "-01", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+", "1E-5", "-0.0",
    "0e9", "0e999999999999", "1e-999999999999", "1e999999999999", "9007199254740991", "9007199254740992",
    "-9007199254740991", "9007199254740991.0", "9007199254740991.4", "9007199254740992.0",
    "10000000000000000", "99999999999999999999", "99999999999999999999e-10", "0.1", "0.30000000000000004",
    "5e-324", "2.2250738585072011e-308", "1e15", "\"\\u0000\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\"",
    "\"\\ude00\"", "\"\\ud83d\\n\"", "\"\\ud83d\\u0041\"", "\"\\u00E9\\u00e9\"", "\"\\u00g0\"",
    "\"\\u+123\"", "\"\\u12\"", "\"\u{1f}\"", "\"\u{7f}\u{80}\"", "\u{feff}1",
    "\"a\\\"b\\\\c\\/d\\b\\f\\n\\r\\t\"", "{\"a\":1,\"\\u0061\":2}", "\u{b}1", "[1\u{a0}]", "{}}", "[[]",
    "[]]",
];

#[test]
fn what_is_taken_and_what_is_not_is_what_serde_says() {
    let few: Vec<_> = (0..17).map(|number| format!("\"k{number}\":0")).collect();
    let (few, last) = (few.join(","), "\"k3\":1");
    let texts = [
        format!("{{{few}}}"),
        format!("{{{few},{last}}}"),
        format!("{{{last},{few}}}"),
        format!("[{{{few}}},{{{few}}},{{{last}}}]"),
    ];
    texts.iter().for_each(|text| check(text));
    TEXTS.iter().for_each(|text| check(text));
    for depth in [64, 65, 127, 128, 200] {
        check(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        check(&format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)));
    }
    for keys in [10_000, 10_001] {
        let members: Vec<_> = (0..keys).map(|number| format!("\"{number}\":0")).collect();
        check(&format!("{{{}}}", members.join(",")));
        check(&format!("[{}]", vec!["{\"a\":0}"; keys].join(",")));
    }
}

#[test]
fn a_pointer_leads_to_what_it_leads_to_in_a_value() {
    let value = serde_json::json!({"a/b": {"~": [1, {"": "x"}]}, "": {"0": 2}, "c": [[3]]});
    let document = Document::of(&value);
    for pointer in [
        "",
        "/",
        "/a~1b",
        "/a~1b/~0",
        "/a~1b/~0/0",
        "/a~1b/~0/1/",
        "/a~1b/~0/01",
        "/a~1b/~0/+0",
        "/a~1b/~0/2",
        "/a~1b/~0/-",
        "//0",
        "/c/0/0",
        "/c/0/0/0",
        "c",
        "/d",
    ] {
        assert_eq!(
            document.pointer(pointer).map(Part::to_value).as_ref(),
            value.pointer(pointer),
            "{pointer}"
        );
    }
}

/// The reader and serde's agree on a text: whether it is taken, and what it says.
fn check(text: &str) {
    let (read, objection) = (reader::read(text, PAYLOAD), objection::find(text, PAYLOAD));
    assert_eq!(read.is_none(), objection.is_some(), "{objection:?}: {text}");
    let Some(document) = read else {
        return;
    };
    let value = serde_json::from_str::<Value>(text).unwrap();
    same(document.root(), &value);
    // Not only equal: 0.0 and -0.0 are.
    assert_eq!(document.to_value().to_string(), value.to_string(), "{text}");
    same(Document::of(&value).root(), &value);
}

fn same(part: Part<'_>, value: &Value) {
    assert_eq!(part, *value);
    match (part.kind(), value) {
        (Kind::Object(object), Value::Object(members)) => {
            assert_eq!((object.len(), object.members().count()), (members.len(), members.len()));
            for (name, value) in members {
                same(object.get(name).unwrap(), value);
            }
            assert!(object.get("absent").is_none());
        }
        (Kind::Array(elements), Value::Array(items)) => {
            assert_eq!(elements.len(), items.len());
            elements.zip(items).for_each(|(part, value)| same(part, value));
        }
        _ => assert_eq!(part.to_value(), *value),
    }
}

fn string() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "a",
        "b",
        "longer than a word",
        "é",
        "😀",
        " ",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u0041",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\u0000",
        "\u{7f}",
    ]);
    prop::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,16})",
        "-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        any::<f64>().prop_map(|number| format!("{number:e}")),
        (-1e16..1e16).prop_map(|number: f64| number.to_string()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![select(vec!["null", "true", "false"]).prop_map(str::to_owned), string(), number()];
    let blank = || select(vec!["", "", "", " ", "\n\t", "\r "]);
    leaf.prop_recursive(6, 120, 24, move |inner| {
        let name = prop_oneof![3 => (0..200).prop_map(|number| format!("\"k{number}\"")), 1 => string()];
        let member =
            (name, blank(), inner.clone()).prop_map(|(name, blank, value)| format!("{name}{blank}:{value}"));
        let array = (prop::collection::vec(inner, 0..6), blank());
        let array = array.prop_map(|(items, blank)| format!("[{blank}{}]", items.join(&format!("{blank},"))));
        let object = (prop::collection::vec(member, 0..24), blank());
        let object = object.prop_map(|(members, blank)| format!("{{{blank}{}{blank}}}", members.join(",")));
        prop_oneof![array, object]
    })
}

/// What is done to a text: bytes at a place are taken away, and others put there.
fn change() -> impl Strategy<Value = (usize, usize, &'static str)> {
    let put = select(vec![
        "",
        "",
        ",",
        ":",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        "0",
        "-",
        "1",
        ".",
        "e",
        "9",
        "\\u",
        "\\ud800",
        "\u{0}",
        "\u{1f}",
        " ",
        "é",
        "t",
        "null",
        "\"k1\":0,",
    ]);
    (any::<usize>(), prop_oneof![4 => Just(0_usize), 4 => Just(1), 1 => 0..9_usize], put)
}

proptest! {
    #[test]
    fn any_text_is_read_as_serde_reads_it(text in text(), change in prop::option::of(change())) {
        check(&text);
        if let Some((place, away, put)) = change {
            let chars: Vec<char> = text.chars().collect();
            let place = place % (chars.len() + 1);
            let rest = chars.iter().skip(place + away);
            let changed: String = chars.iter().take(place).copied().chain(put.chars()).chain(rest.copied()).collect();
            check(&changed);
        }
    }

    #[test]
    fn any_pieces_are_read_as_serde_reads_them(
        pieces in prop::collection::vec(
            select(vec!["{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "0", "-", "1", ".5", "e", "1", "true", "null", " "]),
            0..12,
        )
    ) {
        check(&pieces.concat());
    }
}
