//! Schemas: what compiles is stored in one form, and validation ends with few, short violations.
//! An input is a schema and, after a zero byte, a payload.

use crate::cast::{authority, rfp};
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::VersionedName;
use openmesh_message::json::Document;
use openmesh_schema::limits::{VIOLATION_CHARS_MAX, VIOLATIONS_MAX};
use openmesh_schema::{Catalog, Schema};

/// A schema, a zero byte, a payload.
pub fn target(input: &[u8]) -> Met {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (body, payload) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let name = VersionedName::parse("acme/any@v1.0.0", authority()).unwrap();
    let schema = match Catalog::empty().check_schema(&name, body) {
        Ok(schema) => schema,
        Err(error) => {
            assert_brief(&error);
            return Met::Refused;
        }
    };
    let again = Catalog::empty().check_schema(&name, schema.stored()).unwrap();
    assert_eq!((again.pinned(), again.stored()), (schema.pinned(), schema.stored()));
    if let Ok(payload) = Document::read(payload) {
        validate(&schema, &again, &payload);
    }
    Met::Taken
}

fn validate(schema: &Schema, again: &Schema, payload: &Document) {
    let verdict = schema.validate(payload);
    assert_eq!(again.validate(payload), verdict);
    let Err(violations) = verdict else {
        return;
    };
    assert!((1..=VIOLATIONS_MAX).contains(&violations.len()), "{} violations", violations.len());
    for violation in violations {
        assert!(violation.message.chars().count() <= VIOLATION_CHARS_MAX + 1, "{}", violation.message);
        assert!(payload.pointer(&violation.pointer).is_some(), "{} leads nowhere", violation.pointer);
    }
}

/// Shipped schemas with payloads, recursion, references, patterns, and one of every keyword.
pub fn seeds() -> Vec<Seed> {
    const RFP: &str = include_str!("../../../crates/openmesh-schema/definitions/market/rfp.json");
    const NOTICE: &str = include_str!("../../../crates/openmesh-schema/definitions/mesh/notice.json");
    const KEYWORDS: &str = r##"{"type":["object","array"],"required":["a"],"properties":{"a":{"const":1},"b":{"enum":[1,"x"]}},
"patternProperties":{"^c":{"minimum":0,"exclusiveMaximum":9,"multipleOf":0.5}},"additionalProperties":false,
"minProperties":1,"maxProperties":4,"dependentRequired":{"b":["a"]},"propertyNames":{"maxLength":5},
"if":{"required":["b"]},"then":{"minProperties":2},"else":true,"prefixItems":[{"type":"string","pattern":"^[a-z]+$"}],
"items":{"type":"integer"},"contains":{"const":3},"minContains":0,"uniqueItems":true,"minItems":0,"maxItems":9,
"allOf":[true],"anyOf":[{},false],"oneOf":[{}],"not":false,"unevaluatedProperties":false}"##;
    let of = |schema: &str, payload: &str| format!("{schema}\0{payload}");
    vec![
        Seed::new("rfp", of(RFP, &rfp().to_string())),
        Seed::new("rfp-not", of(RFP, r#"{"id":1,"items":[]}"#)),
        Seed::new("notice", of(NOTICE, "{}")),
        Seed::new("keywords", of(KEYWORDS, r#"{"a":1,"b":"x","c1":1.5}"#)),
        Seed::new(
            "tree",
            of(r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##, r#"{"next":{"next":{}}}"#),
        ),
        Seed::new(
            "definitions",
            of(
                r##"{"$defs":{"a":{"$anchor":"x","type":"string","pattern":"^(a|b)*$"}},"items":{"$ref":"#x"}}"##,
                r#"["abba","c"]"#,
            ),
        ),
        Seed::new("false", of("false", "null")),
    ]
}
