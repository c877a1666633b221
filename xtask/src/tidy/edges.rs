//! Who may depend on whom: the house table against `cargo metadata`.

use super::Tidy;
use crate::generate::PURE_CRATES;
use crate::workspace::{Package, metadata};
use anyhow::Result;

/// Each crate of ours with the crates of ours it may depend on. A crate that is not here may not exist.
const EDGES: &[(&str, &[&str])] = &[
    ("openmesh-message", &[]),
    ("openmesh-schema", &["openmesh-message"]),
    ("openmesh-policy", &["openmesh-message"]),
    ("openmesh-core", &["openmesh-message", "openmesh-schema", "openmesh-policy"]),
    ("openmesh-adapter", &["openmesh-message", "openmesh-core"]),
    ("openmesh-store", ADAPTER),
    ("openmesh-listeners", ADAPTER),
    (
        "openmesh-simulator",
        &["openmesh-message", "openmesh-schema", "openmesh-policy", "openmesh-core", "openmesh-adapter"],
    ),
    ("openmesh-sdk", &["openmesh-message", "openmesh-schema"]),
    (
        "openmesh-node",
        &[
            "openmesh-message",
            "openmesh-schema",
            "openmesh-policy",
            "openmesh-core",
            "openmesh-adapter",
            "openmesh-store",
            "openmesh-listeners",
            "openmesh-sdk",
        ],
    ),
    (
        "openmesh-fuzz",
        &["openmesh-message", "openmesh-schema", "openmesh-policy", "openmesh-core", "openmesh-store"],
    ),
    (
        "openmesh-bench",
        &["openmesh-message", "openmesh-schema", "openmesh-policy", "openmesh-core", "openmesh-store"],
    ),
    ("xtask", &[]),
];

/// What a crate may depend on in its tests besides.
const IN_TESTS: &[(&str, &str)] =
    &[("openmesh-node", "openmesh-simulator"), ("openmesh-store", "openmesh-policy")];

/// What every adapter may depend on; adapters never depend on each other.
const ADAPTER: &[&str] = &["openmesh-message", "openmesh-core", "openmesh-adapter"];

/// Crates that reach the world, which a pure crate has no use for but in its tests.
const WORLDLY: [&str; 8] = ["tokio", "getrandom", "rand", "rustix", "libc", "mio", "socket2", "tempfile"];

pub(super) fn check(tidy: &mut Tidy) -> Result<()> {
    for package in metadata(&tidy.root)?.packages {
        match EDGES.iter().find(|(name, _)| *name == package.name) {
            Some((_, allowed)) => check_package(tidy, &package, allowed),
            None => tidy.find(&package.name, "is not in the table of crates (xtask/src/tidy/edges.rs)"),
        }
    }
    Ok(())
}

fn check_package(tidy: &mut Tidy, package: &Package, allowed: &[&str]) {
    let is_pure = PURE_CRATES.contains(&package.name.as_str());
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let is_ours = EDGES.iter().any(|(ours, _)| *ours == name);
        let in_tests = dependency.kind.as_deref() == Some("dev");
        let tests_may = in_tests && IN_TESTS.contains(&(package.name.as_str(), name));
        if is_ours && !allowed.contains(&name) && !tests_may {
            tidy.find(&package.name, format!("may not depend on {name}"));
        }
        if is_pure && !in_tests && WORLDLY.contains(&name) {
            tidy.find(&package.name, format!("is pure and may not depend on {name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ADAPTER, EDGES, check_package};
    use crate::tidy::Tidy;
    use crate::workspace::{Dependency, Package};
    use std::path::Path;

    fn findings(package: &str, dependency: &str, kind: Option<&str>) -> usize {
        let mut tidy = Tidy::new(Path::new("."), Vec::new());
        let (_, allowed) = EDGES.iter().find(|(name, _)| *name == package).unwrap();
        let package = Package {
            name: package.to_owned(),
            dependencies: vec![Dependency { name: dependency.to_owned(), kind: kind.map(str::to_owned) }],
            targets: Vec::new(),
        };
        check_package(&mut tidy, &package, allowed);
        tidy.findings.len()
    }

    #[test]
    fn edges_outside_the_table_are_found() {
        assert_eq!(findings("openmesh-store", "openmesh-listeners", None), 1);
        assert_eq!(findings("openmesh-store", "openmesh-listeners", Some("dev")), 1);
        assert_eq!(findings("openmesh-node", "openmesh-simulator", None), 1);
        assert_eq!(findings("openmesh-node", "openmesh-simulator", Some("dev")), 0);
        assert_eq!(findings("openmesh-core", "tokio", None), 1);
        assert_eq!(findings("openmesh-core", "tempfile", Some("dev")), 0);
        assert_eq!(findings("openmesh-core", "openmesh-policy", None), 0);
        assert_eq!(findings("openmesh-store", "tokio", None), 0);
    }

    #[test]
    fn no_adapter_may_depend_on_another() {
        assert!(!ADAPTER.contains(&"openmesh-store") && !ADAPTER.contains(&"openmesh-listeners"));
    }
}
