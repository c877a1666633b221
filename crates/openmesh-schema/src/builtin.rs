//! The definitions that ship with the program, and the digests that pin them.

use crate::catalog::Catalog;
use openmesh_message::{Authority, VersionedName};
use std::sync::LazyLock;

const SCHEMAS: &[(&str, &str)] = &[
    ("market/rfp@v1.0.0", include_str!("../definitions/market/rfp.json")),
    ("market/proposal@v1.0.0", include_str!("../definitions/market/proposal.json")),
    ("market/contract@v2.0.1", include_str!("../definitions/market/contract.json")),
    ("mesh/notice@v1.0.0", include_str!("../definitions/mesh/notice.json")),
];

const PROTOCOLS: &[&str] = &[
    include_str!("../definitions/market/negotiation.yaml"),
    include_str!("../definitions/fipa/request.yaml"),
    include_str!("../definitions/fipa/query.yaml"),
    include_str!("../definitions/fipa/contract-net.yaml"),
    include_str!("../definitions/fipa/subscribe.yaml"),
];

/// Every built-in definition; built once.
pub(crate) fn catalog() -> Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        let schemas = SCHEMAS.iter().fold(Catalog::empty(), |catalog, (name, body)| {
            with_schema(&catalog, name, body).unwrap_or(catalog)
        });
        PROTOCOLS.iter().fold(schemas, |catalog, body| with_protocol(&catalog, body).unwrap_or(catalog))
    });
    CATALOG.clone()
}

/// `None` only if the shipped text is wrong, which the tests below rule out.
fn with_schema(catalog: &Catalog, name: &str, body: &str) -> Option<Catalog> {
    let name = VersionedName::parse(name, Authority::OpenMesh).ok()?;
    let schema = catalog.check_schema(&name, body.as_bytes()).ok()?;
    catalog.with_schema(schema).ok()
}

fn with_protocol(catalog: &Catalog, body: &str) -> Option<Catalog> {
    let (protocol, _) = catalog.check_protocol(body.as_bytes(), Authority::OpenMesh).ok()?;
    catalog.with_protocol(protocol).ok()
}

#[cfg(test)]
mod tests {
    use super::{Catalog, PROTOCOLS, SCHEMAS, catalog};
    use openmesh_message::{Authority, VersionedName};

    #[test]
    fn every_shipped_definition_is_published() {
        let mut built = Catalog::empty();
        for (name, body) in SCHEMAS {
            let name = VersionedName::parse(name, Authority::OpenMesh).unwrap();
            let schema = built.check_schema(&name, body.as_bytes()).unwrap();
            built = built.with_schema(schema).unwrap();
        }
        for body in PROTOCOLS {
            let checked = built.check_protocol(body.as_bytes(), Authority::OpenMesh);
            let (protocol, report) = checked.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(report.warnings, Vec::<String>::new(), "{}", protocol.pinned());
            built = built.with_protocol(protocol).unwrap();
        }
        let shipped = catalog();
        assert_eq!(shipped.schemas().count(), SCHEMAS.len());
        assert_eq!(shipped.protocols().count(), PROTOCOLS.len());
    }
}
