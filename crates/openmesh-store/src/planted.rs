//! Bugs that can be planted into the log, its index and the node, to show that tests see them: `OPENMESH_PLANT=name`.
//! Only in builds with debug assertions; in others nothing is compiled in. The core has its own
//! (`openmesh-core/src/partition/planted.rs`).

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Says that a batch is durable before it is written: it is written with the next one.
    AckBeforeSync,
    /// Writes a snapshot under the position before that of its state.
    SnapshotAheadOfLog,
    /// Writes the state of the snapshot before under a later position.
    TrustStaleSnapshot,
    /// Says that the index covers records before they are in it.
    TrustStaleIndex,
}

impl Planted {
    /// Every bug.
    pub const ALL: &[Self] =
        &[Self::AckBeforeSync, Self::SnapshotAheadOfLog, Self::TrustStaleSnapshot, Self::TrustStaleIndex];

    /// Its name in the environment: that of the variant.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// The variable that names a bug.
pub const VARIABLE: &str = "OPENMESH_PLANT";

/// Whether a bug is planted; never without debug assertions.
#[inline]
pub fn has(bug: Planted) -> bool {
    #[cfg(debug_assertions)]
    return chosen() == Some(bug);
    #[cfg(not(debug_assertions))]
    {
        let _ = bug;
        false
    }
}

#[cfg(debug_assertions)]
fn chosen() -> Option<Planted> {
    static CHOSEN: std::sync::OnceLock<Option<Planted>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let told = std::env::var(VARIABLE).ok()?;
        Planted::ALL.iter().copied().find(|bug| bug.name() == told)
    })
}

/// Holds back one value and hands out the one held before.
#[derive(Debug)]
pub(crate) struct Late<T>(std::sync::Mutex<Option<T>>);

impl<T> Late<T> {
    pub(crate) const fn new() -> Self {
        Self(std::sync::Mutex::new(None))
    }

    pub(crate) fn swap(&self, value: T) -> Option<T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(value)
    }
}
