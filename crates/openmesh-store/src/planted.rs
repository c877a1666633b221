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
    /// Takes a sync that failed for one that did not.
    IgnoreSyncError,
    /// Tries a sync that failed again.
    RetrySync,
    /// Does not sync what it says is synced.
    SkipSync,
    /// Takes what was read for what was written, whatever its checksum says.
    SkipChecksum,
    /// Leaves a dropped tail where it was.
    KeepTornTail,
    /// Goes on with the epoch of a run that did not end cleanly.
    ReusePosition,
    /// Lets any process into a folder.
    NoFolderLock,
    /// Says that there is room without a look.
    ForgetReserve,
}

impl Planted {
    /// Every bug.
    pub const ALL: &[Self] = &[
        Self::AckBeforeSync,
        Self::SnapshotAheadOfLog,
        Self::TrustStaleSnapshot,
        Self::TrustStaleIndex,
        Self::IgnoreSyncError,
        Self::RetrySync,
        Self::SkipSync,
        Self::SkipChecksum,
        Self::KeepTornTail,
        Self::ReusePosition,
        Self::NoFolderLock,
        Self::ForgetReserve,
    ];

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
