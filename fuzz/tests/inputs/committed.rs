//! What is committed in `fuzz/seeds` and `fuzz/regressions`.

use openmesh_fuzz::{Met, TARGETS, Target, find};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind)
}

/// The files in a folder, sorted; none where there is no folder.
pub(crate) fn inputs(kind: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder(kind).join(target)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// How the target meets the input; `None` if it breaks.
pub(crate) fn run(target: &Target, input: &[u8]) -> Option<Met> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).ok()
}

#[test]
fn every_committed_input_passes() {
    let mut broken = Vec::new();
    for target in TARGETS {
        for (path, input) in ["seeds", "regressions"].iter().flat_map(|kind| inputs(kind, target.name)) {
            if run(target, &input).is_none() {
                broken.push(path);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Seeds that the code has outgrown lead nowhere: they are to be written anew.
#[test]
fn of_each_target_a_seed_is_taken() {
    let rotten = TARGETS.iter().filter(|target| {
        let seeds = inputs("seeds", target.name);
        !seeds.iter().any(|(_, input)| run(target, input) == Some(Met::Taken))
    });
    let names: Vec<&str> = rotten.map(|target| target.name).collect();
    assert!(names.is_empty(), "cargo run -p openmesh-fuzz --example write-seeds -- {}", names.join(" "));
}

#[test]
fn every_folder_is_of_a_target_and_every_program_has_its_row() {
    for kind in ["seeds", "regressions"] {
        for entry in std::fs::read_dir(folder(kind)).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(find(&name).is_some(), "{kind}/{name} is of no target");
        }
    }
    let manifest = std::fs::read_to_string(folder("Cargo.toml")).unwrap();
    for target in TARGETS {
        assert!(
            manifest.contains(&format!("name = \"{}\"\npath = \"fuzz_targets/", target.name)),
            "{}",
            target.name
        );
    }
}
