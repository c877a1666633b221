//! Bugs that can be planted into the ways in and out, to show that tests see them: `OPENMESH_PLANT=name`, or [`plant`] for one
//! thread. Only in builds with debug assertions; in others nothing is compiled in. The core has its own
//! (`openmesh-core/src/partition/planted.rs`), and so has the log (`openmesh-store/src/planted.rs`).

/// How long a bug holds back what it hands over too late.
const LAST_MOMENT: std::time::Duration = std::time::Duration::from_millis(2);

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Has messages take a shortcut that was given to others which differ in an attribute.
    TakeAnyShortcut,
    /// Lets shortcuts go on when who listens has changed.
    OutliveListeners,
    /// Lets shortcuts go on when the rules, who is known, or how topics are kept has changed.
    OutliveRules,
    /// Hands over what is of a subscription that has ended, if it ends in a last moment, which takes longer than it would.
    HandToEnded,
    /// Does not count what found no room.
    ForgetMissed,
    /// Takes no reader for slow, and holds for each as much as for one that reads.
    ForgetSlow,
    /// Takes a stream's reader to have given more credit than it has.
    IgnoreCredit,
}

impl Planted {
    /// Every bug.
    pub const ALL: &[Self] = &[
        Self::TakeAnyShortcut,
        Self::OutliveListeners,
        Self::OutliveRules,
        Self::HandToEnded,
        Self::ForgetMissed,
        Self::ForgetSlow,
        Self::IgnoreCredit,
    ];

    /// Its name in the environment: that of the variant.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// Whether a bug is planted; never without debug assertions.
#[inline]
pub fn has(bug: Planted) -> bool {
    #[cfg(debug_assertions)]
    return chosen() == Some(bug) || HERE.get() == Some(bug);
    #[cfg(not(debug_assertions))]
    {
        let _ = bug;
        false
    }
}

/// Where the bug is planted that hands over what is of an ended subscription: takes its time first.
pub(crate) fn dawdle() {
    if has(Planted::HandToEnded) {
        std::thread::sleep(LAST_MOMENT);
    }
}

/// Plants a bug for this thread alone, or weeds it out; without debug assertions nothing comes of it.
pub fn plant(bug: Option<Planted>) {
    #[cfg(debug_assertions)]
    HERE.set(bug);
    #[cfg(not(debug_assertions))]
    let _ = bug;
}

#[cfg(debug_assertions)]
thread_local! {
    static HERE: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

#[cfg(debug_assertions)]
fn chosen() -> Option<Planted> {
    /// The variable that names a bug of the log or of the ways in and out.
    const VARIABLE: &str = "OPENMESH_PLANT";
    static CHOSEN: std::sync::OnceLock<Option<Planted>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let told = std::env::var(VARIABLE).ok()?;
        Planted::ALL.iter().copied().find(|bug| bug.name() == told)
    })
}
