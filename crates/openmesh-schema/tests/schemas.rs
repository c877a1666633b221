//! Schemas: the official JSON Schema 2020-12 suite, the budget, references that leave the document, and what ships.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "the suite is read from files, by the test and not by the crate"
)]

use openmesh_message::json::Document;
use openmesh_message::{Authority, VersionedName};
use openmesh_schema::{Catalog, DefinitionErrorKind as Kind, Schema};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn compile(document: &Value) -> Result<Arc<Schema>, openmesh_schema::DefinitionError> {
    let name = VersionedName::parse("market/test@v1.0.0", Authority::OpenMesh).unwrap();
    Catalog::empty().check_schema(&name, document.to_string().as_bytes())
}

fn refused(document: &Value) -> Kind {
    compile(document).expect_err(&document.to_string()[..document.to_string().len().min(80)]).kind
}

/// Groups of the suite that this program means to refuse or judge otherwise, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("const.json", "float and integers are equal", "numbers beyond 2^53 − 1 are refused in all JSON here"),
    ("vocabulary.json", "custom metaschema", "no dialect but 2020-12 itself"),
    ("vocabulary.json", "unrecognized optional vocabulary", "no dialect but 2020-12 itself"),
];

#[test]
fn the_official_suite() {
    let Some(folder) = std::env::var_os("OPENMESH_TEST_DATA") else {
        println!("not run: json-schema-test-suite");
        return;
    };
    let folder = Path::new(&folder).join("json-schema-test-suite/tests/draft2020-12");
    let (mut passed, mut outside, mut failures) = (0_u32, BTreeMap::<String, u32>::new(), Vec::new());
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    files.sort();
    assert!(files.len() > 40, "{} files", files.len());
    for path in files {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let groups: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for group in groups.as_array().unwrap() {
            let title = format!("{file}: {}", group["description"].as_str().unwrap());
            let schema = match compile(&group["schema"]) {
                Ok(schema) => schema,
                Err(error) if error.kind == Kind::UnknownReference => {
                    *outside.entry(file.clone()).or_default() += 1;
                    continue;
                }
                Err(error) => {
                    failures.push(format!("{title}: {error}"));
                    continue;
                }
            };
            for test in group["tests"].as_array().unwrap() {
                let valid = schema.validate(&Document::of(&test["data"])).is_ok();
                if test["valid"] == valid {
                    passed += 1;
                } else {
                    failures.push(format!("{title}: {}", test["description"]));
                }
            }
        }
    }
    println!(
        "json-schema-test-suite: {passed} passed; groups refused for leaving their document: {outside:?}"
    );
    failures.retain(|failure| {
        !DIFFERENT.iter().any(|(file, group, _)| failure.starts_with(file) && failure.contains(group))
    });
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    assert!(passed > 1_200, "{passed}");
}

#[test]
fn references_stay_inside() {
    for target in ["https://example.com/schema.json", "file:///etc/passwd", "other.json", "urn:example:thing"]
    {
        assert_eq!(refused(&json!({"$ref": target})), Kind::UnknownReference, "{target}");
    }
    assert_eq!(refused(&json!({"$schema": "http://json-schema.org/draft-07/schema#"})), Kind::Unsupported);
    compile(&json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})).unwrap();
    compile(&json!({"$ref": "https://json-schema.org/draft/2020-12/schema"})).unwrap();
}

#[test]
fn the_budget_has_a_limit_for_each_cost() {
    let deep = (0..40).fold(json!({}), |inner, _| json!({"not": inner}));
    assert_eq!(refused(&deep), Kind::Budget);
    let wide: serde_json::Map<String, Value> =
        (0..2_100).map(|index| (format!("p{index}"), json!(true))).collect();
    assert_eq!(refused(&json!({"properties": wide})), Kind::Budget);
    assert_eq!(refused(&json!({"pattern": "a".repeat(300)})), Kind::Budget);
    let patterns: serde_json::Map<String, Value> =
        (0..70).map(|index| (format!("^p{index}"), json!(true))).collect();
    assert_eq!(refused(&json!({"patternProperties": patterns})), Kind::Budget);
    let refs: Vec<Value> = (0..130).map(|_| json!({"$ref": "#/$defs/a"})).collect();
    assert_eq!(refused(&json!({"allOf": refs, "$defs": {"a": true}})), Kind::Budget);
    let doubling: serde_json::Map<String, Value> = (0..30)
        .map(|index| {
            let next = format!("#/$defs/d{}", index + 1);
            (format!("d{index}"), json!({"allOf": [{"$ref": next}, {"$ref": next}]}))
        })
        .chain([("d30".to_owned(), json!({"type": "string"}))])
        .collect();
    assert_eq!(refused(&json!({"$ref": "#/$defs/d0", "$defs": doubling})), Kind::Budget);
    assert_eq!(refused(&json!({"title": "x".repeat(70_000)})), Kind::TooLarge);
    let huge = json!({"pattern": "^(([ab]{1,99}){1,99}){1,99}$"});
    assert_eq!(refused(&huge), Kind::Malformed);
    assert_eq!(refused(&json!({"pattern": "(?=a)b"})), Kind::Malformed, "lookaround needs backtracking");
}

#[test]
fn recursion_that_branches_on_one_value_is_refused() {
    let list = json!({"$defs": {"node": {"properties": {"left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"});
    compile(&list).unwrap();
    let doubling = json!({"$defs": {"node": {"properties": {"next": {"allOf": [{"$ref": "#/$defs/node"}, {"$ref": "#/$defs/node"}]}}}}, "$ref": "#/$defs/node"});
    assert_eq!(refused(&doubling), Kind::Budget);
    let anchored = json!({"$defs": {"node": {"$anchor": "node", "properties": {"next": {"allOf": [{"$ref": "#node"}, {"$ref": "#node"}]}}}}, "$ref": "#node"});
    assert_eq!(refused(&anchored), Kind::Budget);
    let embedded = json!({"$defs": {"node": {"$id": "https://a.example/node", "properties": {"next": {"allOf": [{"$ref": "node"}, {"$ref": "https://a.example/node"}]}}}}, "$ref": "https://a.example/node"});
    assert_eq!(refused(&embedded), Kind::Budget);
    let alternatives = json!({"anyOf": [
        {"properties": {"next": {"$ref": "#"}}, "required": ["a"]},
        {"properties": {"next": {"$ref": "#"}}, "required": ["b"]},
    ]});
    assert_eq!(refused(&alternatives), Kind::Budget);
}

#[test]
fn a_schema_is_its_stored_form() {
    let name = VersionedName::parse("market/test@v1.0.0", Authority::OpenMesh).unwrap();
    let catalog = Catalog::empty();
    let one = catalog.check_schema(&name, br#"{"type": "number", "minimum": 1.0}"#).unwrap();
    let two = catalog.check_schema(&name, br#"{ "minimum":1,"type":"number" }"#).unwrap();
    assert_eq!(one.pinned(), two.pinned());
    assert_eq!(one.stored(), br#"{"minimum":1,"type":"number"}"#);
    let twice = catalog.check_schema(&name, br#"{"type": "number", "type": "string"}"#);
    assert_eq!(twice.unwrap_err().kind, Kind::Malformed);
    let catalog = catalog.with_schema(one).unwrap();
    let other = catalog.check_schema(&name, b"{}").unwrap();
    catalog.with_schema(other).expect_err("another digest under a published name");
}

#[test]
fn violations_say_where_and_never_show_the_value() {
    let schema = compile(&json!({"properties": {"a": {"type": "string"}, "b": {"maximum": 3}}})).unwrap();
    let violations = schema.validate(&Document::of(&json!({"a": 123_456, "b": 9}))).unwrap_err();
    assert_eq!(violations.len(), 2);
    assert_eq!((violations[0].pointer.as_str(), violations[0].keyword.as_str()), ("/a", "type"));
    assert!(!violations.iter().any(|violation| violation.message.contains("123456")), "{violations:?}");
}

/// What ships is pinned: changing a definition without changing its version fails here.
#[test]
fn shipped_definitions_keep_their_digests() {
    let catalog = Catalog::builtin();
    let mut pins: Vec<String> = catalog.schemas().map(|schema| schema.pinned().to_string()).collect();
    pins.extend(catalog.protocols().map(|protocol| protocol.pinned().to_string()));
    let expected: Vec<&str> = include_str!("../definitions/PINS").lines().collect();
    assert_eq!(pins, expected, "\n{}", pins.join("\n"));
}
