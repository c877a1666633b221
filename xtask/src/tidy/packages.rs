//! How many packages a build of the program takes in.

use super::Tidy;
use crate::workspace::{cargo, output};
use anyhow::Result;
use std::collections::BTreeSet;

/// Most packages in the default build; raised only with a reason in docs/decisions.
const DEFAULT_BUILD_MAX: usize = 300;

const TREE: [&str; 7] = ["tree", "--package", "openmesh-node", "--edges", "normal,build", "--prefix", "none"];

pub(super) fn check(tidy: &mut Tidy) -> Result<()> {
    let tree = output(&tidy.root, &cargo(), &TREE)?;
    let count = count_packages(&tree);
    if count > DEFAULT_BUILD_MAX {
        let what = format!("{count} packages in the default build, at most {DEFAULT_BUILD_MAX}");
        tidy.find("openmesh-node", what);
    }
    Ok(())
}

/// A package is a name and a version; what follows on the line tells where it is from.
fn count_packages(tree: &str) -> usize {
    let packages: BTreeSet<Vec<&str>> = tree
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>())
        .filter(|words| words.len() == 2)
        .collect();
    packages.len()
}

#[cfg(test)]
mod tests {
    use super::count_packages;

    #[test]
    fn repeats_are_one_package_and_versions_are_two() {
        assert_eq!(count_packages("a v1.0.0 (/x)\nb v1.0.0\nb v1.0.0 (*)\nb v2.0.0\n\n"), 3);
    }
}
