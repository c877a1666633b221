//! Places where tests have the program die, as a crash would: `OPENMESH_CRASH_AT=name[:nth]` aborts it when it comes to
//! the place for the nth time. Only in builds with debug assertions; in others nothing is compiled in.

/// Every place, in the order in which a node comes to them. What stands before the point says what a test has to have
/// the program do.
pub const NAMES: &[&str] = &[
    "open.locked",
    "open.before-epoch",
    "open.after-epoch",
    "open.bound",
    "append.before-write",
    "append.written",
    "sync.before",
    "sync.after",
    "receipt.synced",
    "receipt.before-perform",
    "receipt.performed",
    "quiet.before-marker",
    "quiet.after-marker",
    "roll.begun",
    "roll.header-written",
    "roll.header-synced",
    "roll.renamed",
    "roll.folder-synced",
    "snapshot.begun",
    "snapshot.written",
    "snapshot.renamed",
    "snapshot.folder-synced",
    "snapshot.old-removed",
    "checkpoint.written",
    "checkpoint.old-removed",
    "compact.begun",
    "compact.written",
    "compact.renamed",
    "compact.folder-synced",
    "checkpoint.let-go-begun",
    "checkpoint.let-go-removed",
    "checkpoint.let-go-synced",
    "index.marked",
    "index.before-commit",
    "index.committed",
    "close.before-snapshot",
    "close.before-marker",
    "close.after-marker",
    "index.before-close",
    "index.closed",
    "import.begun",
    "import.written",
    "import.epoch-begun",
    "import.before-rename",
    "import.renamed",
];

/// The variable that names a place.
pub const VARIABLE: &str = "OPENMESH_CRASH_AT";

/// The program has come to a place: it dies here if it was told to.
#[inline]
pub fn reached(name: &str) {
    #[cfg(debug_assertions)]
    armed::reached(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLACE: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSES: AtomicU64 = AtomicU64::new(0);

    pub(super) fn reached(name: &str) {
        if let Some((place, nth)) = PLACE.get_or_init(read)
            && place == name
            && PASSES.fetch_add(1, Ordering::Relaxed) + 1 == *nth
        {
            std::process::abort();
        }
    }

    fn read() -> Option<(String, u64)> {
        let told = std::env::var(super::VARIABLE).ok()?;
        let (place, nth) = told.split_once(':').unwrap_or((&told, "1"));
        Some((place.to_owned(), nth.parse().unwrap_or(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::NAMES;
    use std::collections::BTreeMap;
    use std::path::Path;

    #[test]
    fn every_name_stands_in_the_table_and_in_one_place_of_the_program() {
        let mut found: BTreeMap<String, u32> = BTreeMap::new();
        for folder in ["openmesh-store", "openmesh-node"] {
            read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder).join("src"), &mut found);
        }
        let expected: BTreeMap<String, u32> = NAMES.iter().map(|name| ((*name).to_owned(), 1)).collect();
        assert_eq!(found, expected);
    }

    fn read(folder: &Path, found: &mut BTreeMap<String, u32>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for rest in text.split(&["failpoint::reached", "(\""].concat()).skip(1) {
                    *found.entry(rest.split('"').next().unwrap().to_owned()).or_default() += 1;
                }
            }
        }
    }
}
