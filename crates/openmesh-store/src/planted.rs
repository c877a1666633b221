//! Bugs that can be planted into the log, its index and the node, to show that tests see them: `OPENMESH_PLANT=name`.
//! Only in builds with debug assertions; in others nothing is compiled in. The core has its own
//! (`openmesh-core/src/partition/planted.rs`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Says that a batch is durable before it is written: it is written some batches later.
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
    /// Leaves a dropped tail where it was, and goes on behind it.
    KeepTornTail,
    /// Goes on with the epoch of a run that did not end cleanly.
    ReusePosition,
    /// Lets any process into a folder.
    NoFolderLock,
    /// Says that there is room without a look.
    ForgetReserve,
    /// Takes the first zeros where a frame should be for the end of a segment.
    EndAtZeros,
    /// Takes a frame for right wherever it stands.
    UnboundChecksum,
    /// Takes a record of an earlier epoch for one of the log.
    TrustStalePage,
    /// Goes on after what a disk that turned read-only refused.
    TrustReadOnlyDisk,
    /// Begins an index that is not there with what comes from then on.
    IndexFromHead,
    /// Has what is not kept wait for the disk, too.
    WaitForDisk,
    /// Gives a segment its name before it has a header.
    NameBeforeHeader,
    /// Rewrites a segment without a header.
    ForgetHeader,
    /// Rewrites a segment with the bodies that were to go.
    KeepErasedBody,
    /// Removes the checkpoint that was just written with those before it.
    KeepNoCheckpoint,
    /// Lets go of more of the log than it may.
    LetGoTooMuch,
    /// Writes an import in the log's place at once.
    ImportInPlace,
    /// Looks for the records of a first format's segment where those of this one's stand.
    MisplaceFirstFormat,
    /// Takes a copied folder for the one it was copied from.
    TrustCopy,
    /// Takes a folder over with the next epoch.
    NearEpoch,
    /// Gives up when the clock goes back.
    FearClock,
    /// Keeps every recent batch in memory.
    KeepEveryBatch,
    /// Answers a question before what its connection sent before it.
    OvertakeOwn,
    /// Hands over twice what is not kept.
    DeliverTwice,
    /// Loses items of streams, now and then.
    LoseStreamItem,
    /// Sheds what is kept before what is not.
    ShedKeptFirst,
    /// Refuses acknowledgements while it sheds.
    ShedAcks,
    /// Takes in what comes, however much memory it takes.
    ForgetCeiling,
    /// Takes what waits in the order it came, whoever sent it.
    TakeInOrder,
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
        Self::EndAtZeros,
        Self::UnboundChecksum,
        Self::TrustStalePage,
        Self::TrustReadOnlyDisk,
        Self::IndexFromHead,
        Self::WaitForDisk,
        Self::NameBeforeHeader,
        Self::ForgetHeader,
        Self::KeepErasedBody,
        Self::KeepNoCheckpoint,
        Self::LetGoTooMuch,
        Self::ImportInPlace,
        Self::MisplaceFirstFormat,
        Self::TrustCopy,
        Self::NearEpoch,
        Self::FearClock,
        Self::KeepEveryBatch,
        Self::OvertakeOwn,
        Self::DeliverTwice,
        Self::LoseStreamItem,
        Self::ShedKeptFirst,
        Self::ShedAcks,
        Self::ForgetCeiling,
        Self::TakeInOrder,
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

/// Whether the bug that fears a clock which goes back is planted, and this one does.
pub fn fears(clock_ms: i64) -> bool {
    static LATEST: AtomicI64 = AtomicI64::new(i64::MIN);
    has(Planted::FearClock) && LATEST.fetch_max(clock_ms, Ordering::Relaxed) > clock_ms
}

#[cfg(debug_assertions)]
fn chosen() -> Option<Planted> {
    static CHOSEN: std::sync::OnceLock<Option<Planted>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let told = std::env::var(VARIABLE).ok()?;
        Planted::ALL.iter().copied().find(|bug| bug.name() == told)
    })
}

/// Holds back so many values and hands out the one held longest.
#[derive(Debug)]
pub(crate) struct Late<T> {
    held: Mutex<VecDeque<T>>,
    count: usize,
}

impl<T> Late<T> {
    pub(crate) const fn by(count: usize) -> Self {
        Self { held: Mutex::new(VecDeque::new()), count }
    }

    pub(crate) fn swap(&self, value: T) -> Option<T> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push_back(value);
        if held.len() > self.count { held.pop_front() } else { None }
    }
}
