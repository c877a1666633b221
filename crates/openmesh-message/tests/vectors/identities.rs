//! Keys and the ids that follow from them; certificates.

use crate::fixture::{TIME, cbor_hex, digest, hex, home, inception, key};
use openmesh_message::{AgentId, Certificate, CertificateError, Digest, DomainId, Inception, Timestamp};
use serde_json::{Value, json};

pub(crate) fn identities() -> Value {
    json!({
        "what": "Ed25519 seeds, public keys and did:key ids; keys and texts that must be refused; domain ids",
        "contexts": {"next root": "openmesh next root key v1", "inception": "openmesh inception v1"},
        "agents": (1..=5).map(agent).collect::<Vec<_>>(),
        "bad agents": bad_agents(),
        "weak keys": weak_keys(),
        "domains": domains(),
        "bad domains": bad_domains(),
    })
}

fn agent(seed: u8) -> Value {
    let id = key(seed).id();
    assert_eq!(id.to_string().parse(), Ok(id));
    json!({"seed": hex([seed; 32]), "public key": hex(id.public_key()), "id": id})
}

fn bad_agents() -> Vec<Value> {
    let good = key(4).id().to_string();
    let cases = [
        ("empty", String::new()),
        ("no multibase", good.replace("key:z", "key:")),
        ("another method", good.replace("did:key", "did:web")),
        ("cut short", good[..good.len() - 1].to_owned()),
        (
            "another multicodec (X25519)",
            "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc".to_owned(),
        ),
        ("a fragment", format!("{good}#{}", &good[8..])),
        ("upper case", good.to_uppercase()),
    ];
    let refused = |(what, text): (&str, String)| {
        assert!(text.parse::<AgentId>().is_err(), "{what}");
        json!({"what": what, "text": text})
    };
    cases.into_iter().map(refused).collect()
}

/// Points of small order, under which signatures can be made up.
fn weak_keys() -> Vec<Value> {
    let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    let unhex = |text: &str| -> Vec<u8> {
        (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    let cases = [
        ("order 1", identity.to_vec()),
        ("order 2", minus_one.to_vec()),
        ("order 4", vec![0; 32]),
        ("order 8", unhex(order_8)),
    ];
    let refused = |(what, bytes): (&str, Vec<u8>)| {
        let key: [u8; 32] = bytes.clone().try_into().unwrap();
        assert!(AgentId::from_public_key(key).is_err(), "{what}");
        json!({"what": what, "public key": hex(bytes)})
    };
    cases.into_iter().map(refused).collect()
}

fn domains() -> Vec<Value> {
    let one = |root: u8, next: u8| {
        let inception = Inception::new(&key(root), &key(next));
        let id = inception.domain_id();
        assert_eq!(id.to_string().parse(), Ok(id));
        json!({
            "root": hex(key(root).id().public_key()),
            "next root": hex(key(next).id().public_key()),
            "commitment": digest(&inception.next_root),
            "inception": cbor_hex(&inception),
            "id": id,
        })
    };
    vec![one(1, 2), one(2, 1), one(6, 7)]
}

fn bad_domains() -> Vec<Value> {
    let good = home().to_string();
    let zero_bits_set = format!("{}b", &good[..52]);
    let cases = [
        ("upper case", good.to_uppercase()),
        ("cut short", good[..52].to_owned()),
        ("one too long", format!("{good}a")),
        ("another multibase", format!("z{}", &good[1..])),
        ("a character that is no base32", format!("{}1", &good[..52])),
        ("unused bits that are not zero", zero_bits_set),
    ];
    let refused = |(what, text): (&str, String)| {
        assert!(text.parse::<DomainId>().is_err(), "{what}");
        json!({"what": what, "text": text})
    };
    cases.into_iter().map(refused).collect()
}

pub(crate) fn certificates() -> Value {
    let (start, end) = (TIME, TIME.plus_ms(1_000));
    let issued = Certificate::issue(&key(1), inception(), key(3).id(), start, end);
    let forged = Certificate::issue(&key(5), inception(), key(3).id(), start, end);
    let changed = |change: fn(&mut Certificate)| {
        let mut certificate = issued.clone();
        change(&mut certificate);
        certificate
    };
    let other = DomainId::from_bytes(*Digest::of(b"another domain").as_bytes());
    let signature = Err(CertificateError::Signature);
    let cases = [
        ("from its first moment", issued.clone(), home(), start, Ok(())),
        ("to its last", issued.clone(), home(), end, Ok(())),
        ("a moment early", issued.clone(), home(), start.plus_ms(-1), Err(CertificateError::Time)),
        ("a moment late", issued.clone(), home(), end.plus_ms(1), Err(CertificateError::Time)),
        ("signed by another key", forged, home(), start, signature),
        ("of another node", changed(|one| one.node = key(5).id()), home(), start, signature),
        (
            "with a later end",
            changed(|one| one.not_after = one.not_after.plus_ms(1)),
            home(),
            start,
            signature,
        ),
        (
            "where another domain is expected",
            issued.clone(),
            other,
            start,
            Err(CertificateError::OtherDomain { expected: other, found: home() }),
        ),
    ];
    let cases =
        cases.into_iter().map(|(what, one, domain, now, holds)| case(what, &one, (domain, now), holds));
    json!({
        "what": "a node's certificate (CBOR), the domain expected, a moment, and whether it holds",
        "contexts": {"certificate": "openmesh node certificate v1"},
        "cases": cases.collect::<Vec<_>>(),
    })
}

fn case(
    what: &str,
    certificate: &Certificate,
    (domain, now): (DomainId, Timestamp),
    holds: Result<(), CertificateError>,
) -> Value {
    assert_eq!(certificate.verify(&domain, now), holds, "{what}");
    json!({
        "what": what, "certificate": cbor_hex(certificate), "domain": domain, "now": now.millis(),
        "holds": holds.is_ok(),
    })
}
