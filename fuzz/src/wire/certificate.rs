//! A domain's word for a node's key. Only what the root signed is believed, and only in its time.

use crate::cast::{NOW, certificate, home, key};
use crate::form::{assert_brief, reads};
use crate::targets::{Met, Seed};
use openmesh_message::{Certificate, Inception};
use std::sync::LazyLock;

/// An encoded certificate.
pub fn target(input: &[u8]) -> Met {
    static GENUINE: LazyLock<Certificate> = LazyLock::new(certificate);
    let Some(found) = reads::<Certificate>(input) else {
        return Met::Refused;
    };
    let domain = found.domain();
    assert_eq!(domain, found.inception.domain_id());
    match found.verify(&home(), NOW) {
        Ok(()) => assert_eq!(found, *GENUINE, "a certificate that the domain never gave"),
        Err(error) => assert_brief(&error),
    }
    if domain != home() {
        assert!(found.verify(&home(), NOW).is_err());
    }
    Met::Taken
}

/// The genuine certificate, one of another domain, and one that is not signed by the root it names.
pub fn seeds() -> Vec<Seed> {
    let genuine = certificate();
    let other = Inception::new(&key(7), &key(8));
    let (from, to) = (genuine.not_before, genuine.not_after);
    let of_other = Certificate::issue(&key(7), other, genuine.node, from, to);
    let forged = Certificate::issue(&key(9), genuine.inception.clone(), genuine.node, from, to);
    let of = |certificate: &Certificate| minicbor::to_vec(certificate).unwrap();
    vec![
        Seed::new("genuine", of(&genuine)),
        Seed::new("other-domain", of(&of_other)),
        Seed::new("forged", of(&forged)),
    ]
}
