//! Names of definitions in all their forms: qualified ones have one text, short ones expand to those.

use crate::cast::{authority, home, schema};
use crate::form::{assert_brief, assert_leads_back, is_a_text_of, is_the_text_of};
use crate::targets::{Met, Seed};
use openmesh_message::{Authority, DefinitionName, NameError, NameRange, PinnedName, VersionedName};
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// Versions that ranges are asked about.
const VERSIONS: [&str; 6] = ["v0.1.0", "v1.0.0", "v1.2.3-rc.1", "v1.9.9", "v2.0.0", "v10.0.0+build"];

/// Any text.
pub fn target(input: &[u8]) -> Met {
    let Ok(text) = std::str::from_utf8(input) else {
        return Met::Refused;
    };
    let qualified = [
        is_the_text_of::<Authority>(text).is_some(),
        is_the_text_of::<DefinitionName>(text).is_some(),
        is_the_text_of::<VersionedName>(text).is_some(),
        is_a_text_of::<NameRange>(text).is_some_and(|range| ranges(&range)),
        is_the_text_of::<PinnedName>(text).is_some_and(|name| uris(&name)),
    ];
    let expanded = [
        expands(DefinitionName::parse(text, authority())),
        expands(VersionedName::parse(text, authority())),
        expands(NameRange::parse(text, authority())),
    ];
    for (uri, write) in [
        (PinnedName::parse_schema_uri(text), PinnedName::to_schema_uri as fn(&PinnedName) -> String),
        (PinnedName::parse_protocol_uri(text), PinnedName::to_protocol_uri),
    ] {
        if let Ok(name) = &uri {
            assert_eq!(write(name), text);
            return Met::Taken;
        }
    }
    if qualified.contains(&true) || expanded.contains(&true) { Met::Taken } else { Met::Refused }
}

/// What a short form expands to is read back from its qualified text.
fn expands<T>(parsed: Result<T, NameError>) -> bool
where
    T: FromStr<Err: Display> + Display + PartialEq + Debug,
{
    match parsed {
        Ok(name) => {
            assert_leads_back(&name);
            true
        }
        Err(error) => {
            assert_brief(&error);
            false
        }
    }
}

/// A range written and read again takes in the same versions.
fn ranges(range: &NameRange) -> bool {
    let again: NameRange = range.to_string().parse().unwrap();
    for version in VERSIONS {
        let version: VersionedName = format!("{}@{version}", range.name).parse().unwrap();
        assert_eq!(range.contains(&version), again.contains(&version));
    }
    true
}

fn uris(name: &PinnedName) -> bool {
    assert_eq!(PinnedName::parse_schema_uri(&name.to_schema_uri()).as_ref(), Ok(name));
    assert_eq!(PinnedName::parse_protocol_uri(&name.to_protocol_uri()).as_ref(), Ok(name));
    assert!(PinnedName::parse_schema_uri(&name.to_protocol_uri()).is_err());
    true
}

/// One of each form.
pub fn seeds() -> Vec<Seed> {
    let rfp = schema("market/rfp@^1");
    vec![
        Seed::new("short", "market/rfp"),
        Seed::new("versioned", "openmesh/market/rfp@v1.0.0-rc.1+build.5"),
        Seed::new("own", format!("{}/acme/bid@v2.1.0", home())),
        Seed::new("range", "openmesh/market/rfp@^1"),
        Seed::new("ranges", "openmesh/market/rfp@>=1.2, <3"),
        Seed::new("short-range", "market/rfp@v1.0.0"),
        Seed::new("pinned", rfp.to_string()),
        Seed::new("schema-uri", rfp.to_schema_uri()),
        Seed::new("protocol-uri", rfp.to_protocol_uri()),
    ]
}
