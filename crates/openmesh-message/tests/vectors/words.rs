//! Addresses, topics, names of definitions, performatives, times: texts that are read and texts that are refused.

use crate::fixture::{home, key};
use openmesh_message::{
    Address, AddressError, AgentName, Authority, ConversationId, Digest, NameRange, Performative, PinnedName,
    Timestamp, TopicPath, TopicPattern, VersionedName,
};
use serde_json::{Value, json};

pub(crate) fn addresses() -> Value {
    json!({
        "what": "absolute addresses; what people type, expanded in a home domain; texts refused, and why",
        "home": home(),
        "good": good_addresses(),
        "expanded": expanded(),
        "bad": bad_addresses(),
        "agent names": agent_names(),
        "conversation ids": conversation_ids(),
    })
}

fn good_addresses() -> Vec<Value> {
    let paths = [
        "topic/market/rfp".to_owned(),
        "topic/$mesh/health".to_owned(),
        "agent/buyer".to_owned(),
        format!("agent/{}", key(4).id()),
        "inbox/buyer-2.eu_west".to_owned(),
        "conversation/0190c9a0-0000-7000-8000-000000000001".to_owned(),
    ];
    let one = |path: &String| {
        let text = format!("mesh://{}/{path}", home());
        let address: Address = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
        json!({
            "text": text, "domain": address.domain, "kind": address.target.kind(), "path": address.target.path(),
        })
    };
    paths.iter().map(one).collect()
}

fn expanded() -> Vec<Value> {
    let did = key(4).id().to_string();
    let absolute = format!("mesh://{}/agent/buyer", home());
    let typed = ["topic:market/rfp", "agent:buyer", "inbox:buyer", did.as_str(), absolute.as_str()];
    let one = |text: &&str| json!({"typed": text, "text": Address::expand(text, home()).unwrap()});
    typed.iter().map(one).collect()
}

fn bad_addresses() -> Vec<Value> {
    let in_home = |path: &str| format!("mesh://{}/{path}", home());
    let cases = [
        "topic/market/rfp".to_owned(),
        "topic:market/rfp".to_owned(),
        "/agent/buyer".to_owned(),
        format!("mesh://{}", home()),
        "mesh://example.org/topic/news".to_owned(),
        format!("http://{}/topic/news", home()),
        in_home("topic/"),
        in_home("topic"),
        in_home("topic/market/*"),
        in_home("agent/Buyer"),
        in_home("agent/did:key:z6Mk"),
        in_home("queue/news"),
        in_home("conversation/0190C9A0-0000-7000-8000-000000000001"),
        in_home("board/plans"),
        in_home("cap/translate"),
    ];
    let one = |text: &String| {
        let why = match text.parse::<Address>().unwrap_err() {
            AddressError::Relative(_) => "relative",
            AddressError::Malformed(..) => "malformed",
            AddressError::NotBuilt(_) => "not built",
        };
        json!({"text": text, "why": why})
    };
    cases.iter().map(one).collect()
}

fn agent_names() -> Value {
    let (longest, too_long) = ("a".repeat(64), "a".repeat(65));
    let tried =
        ["a", "buyer", "b2.eu_west-1", &longest, &too_long, "", "2b", "Buyer", "büyer", "a b", "-a", "did:x"];
    verdicts(&tried, |text| text.parse::<AgentName>().is_ok())
}

fn conversation_ids() -> Value {
    let tried = [
        "0190c9a0-0000-7000-8000-000000000001",
        "0190C9A0-0000-7000-8000-000000000001",
        "0190c9a0000070008000000000000001",
        "{0190c9a0-0000-7000-8000-000000000001}",
        "urn:uuid:0190c9a0-0000-7000-8000-000000000001",
        "",
    ];
    verdicts(&tried, |text| text.parse::<ConversationId>().is_ok())
}

fn verdicts(texts: &[&str], is_good: impl Fn(&str) -> bool) -> Value {
    let one = |text: &&str| json!({"text": text, "good": is_good(text)});
    texts.iter().map(one).collect()
}

pub(crate) fn topics() -> Value {
    let (deep, too_deep) = (vec!["a"; 16].join("/"), vec!["a"; 17].join("/"));
    let (longest, too_long) = ("a".repeat(512), "a".repeat(513));
    let paths = [
        "market",
        "market/rfp",
        "$mesh/health",
        "A/b.c/~d/_e-f",
        &deep,
        &too_deep,
        &longest,
        &too_long,
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "a b",
        "ä",
        "a/../b",
        "a/./b",
        "a/$b",
        "$",
        "a/*",
        "a+b",
    ];
    let patterns = [
        "market",
        "*",
        "**",
        "market/*",
        "market/**",
        "*/*/*",
        "*/*/**",
        "*/*/*/*",
        "*/*/*/**",
        "**/a",
        "a*",
        "a/***",
        "",
        "$mesh/**",
        "a/*/b",
        "$*",
    ];
    json!({
        "what": "topic paths and patterns, good and bad, and which pattern takes in which path",
        "paths": verdicts(&paths, |text| text.parse::<TopicPath>().is_ok()),
        "patterns": verdicts(&patterns, |text| text.parse::<TopicPattern>().is_ok()),
        "matches": matches(),
    })
}

fn matches() -> Vec<Value> {
    let patterns = ["a", "a/b", "*", "*/b", "a/*", "**", "a/**", "*/**", "a/*/**", "$mesh/**", "$mesh/*"];
    let paths = ["a", "a/b", "a/b/c", "b", "$mesh/health", "$mesh/health/disk", "a/b/c/d"];
    let one = |pattern: &str, path: &str| {
        let matches = pattern.parse::<TopicPattern>().unwrap().matches(&path.parse::<TopicPath>().unwrap());
        json!({"pattern": pattern, "path": path, "matches": matches})
    };
    patterns.iter().flat_map(|pattern| paths.iter().map(|path| one(pattern, path))).collect()
}

pub(crate) fn names() -> Value {
    json!({
        "what": "names of schemas and protocols as written in a home domain, their qualified form and type; ranges; pins",
        "home": home(),
        "good": good_names(),
        "bad": bad_names(),
        "ranges": ranges(),
        "pin": pin(),
    })
}

fn authority() -> Authority {
    Authority::Domain(home())
}

fn good_names() -> Vec<Value> {
    let own = format!("{}/acme/bid@v2.1.0-draft.1+build.5", home());
    let texts =
        ["market/rfp@v1.0.0", "openmesh/fipa/request@v1.0.0", "acme/bid@v0.1.0", &own, "a-1/b-2@v10.20.30"];
    let one = |text: &&str| {
        let name = VersionedName::parse(text, authority()).unwrap();
        json!({"text": text, "qualified": name, "type": name.type_name()})
    };
    texts.iter().map(one).collect()
}

fn bad_names() -> Vec<Value> {
    let texts = [
        "rfp@v1.0.0",
        "market/rfp",
        "market/rfp@1.0.0",
        "market/rfp@v1.0",
        "market/rfp@v01.0.0",
        "Market/rfp@v1.0.0",
        "märket/rfp@v1.0.0",
        "a/b/c/d@v1.0.0",
        "example.org/market/rfp@v1.0.0",
        "market/-rfp@v1.0.0",
        "market/rfp-@v1.0.0",
        "market//rfp@v1.0.0",
        "1a/b@v1.0.0",
        "a_b/c@v1.0.0",
        "",
    ];
    let one = |text: &&str| {
        assert!(VersionedName::parse(text, authority()).is_err(), "{text}");
        json!(text)
    };
    texts.iter().map(one).collect()
}

fn ranges() -> Vec<Value> {
    let ranges = ["a/b@^1", "a/b@v1.2.0", "a/b@~1.2", "a/b@*", "a/b@>=1.1, <1.4", "a/b@^0.2"];
    let versions = [
        "a/b@v0.2.5",
        "a/b@v1.0.0",
        "a/b@v1.2.0",
        "a/b@v1.2.9",
        "a/b@v1.4.0-rc.1",
        "a/b@v2.0.0",
        "a/c@v1.2.0",
    ];
    let one = |range: &str, version: &str| {
        let found = NameRange::parse(range, authority()).unwrap();
        let contains = found.contains(&VersionedName::parse(version, authority()).unwrap());
        json!({"range": range, "name": version, "contains": contains})
    };
    ranges.iter().flat_map(|range| versions.iter().map(|version| one(range, version))).collect()
}

fn pin() -> Value {
    let digest = Digest::of(b"a stored definition");
    let pinned =
        PinnedName { versioned: VersionedName::parse("market/rfp@v1.0.0", authority()).unwrap(), digest };
    assert_eq!(PinnedName::parse_schema_uri(&pinned.to_schema_uri()).as_ref(), Ok(&pinned));
    json!({
        "stored form": "a stored definition", "pinned": pinned, "dataschema": pinned.to_schema_uri(),
        "protocol": pinned.to_protocol_uri(),
    })
}

pub(crate) fn performatives() -> Value {
    let known =
        |act: &Performative| json!({"act": act, "final reply": act.is_final_reply(), "duty": act.duty()});
    let others =
        ["acme.bid-bond", "a.b", "Inform", "bid-bond", "acme.", ".x", "a.b.c", "a.B", "1a.b", "", "inform "];
    json!({
        "what": "every act with a name of its own; other texts, and whether they are acts",
        "known": Performative::KNOWN.iter().map(known).collect::<Vec<_>>(),
        "others": verdicts(&others, |text| text.parse::<Performative>().is_ok()),
    })
}

pub(crate) fn times() -> Value {
    let good = [
        "2026-01-31T12:00:00Z",
        "2026-01-31T13:30:00.5+01:30",
        "1970-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "2026-01-31T12:00:00.123456789Z",
        "2024-02-29T23:59:59Z",
    ];
    let bad = [
        "yesterday",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2025-02-29T00:00:00Z",
        "2026-01-31T25:00:00Z",
        "",
    ];
    let one = |text: &&str| {
        let time = Timestamp::parse(text).unwrap();
        json!({"text": text, "ms": time.millis(), "written": time.to_string()})
    };
    let refused = |text: &&str| {
        assert!(Timestamp::parse(text).is_err(), "{text}");
        json!(text)
    };
    json!({
        "what": "RFC 3339 times, their milliseconds since the Unix epoch, and the form nodes write",
        "good": good.iter().map(one).collect::<Vec<_>>(),
        "bad": bad.iter().map(refused).collect::<Vec<_>>(),
    })
}
