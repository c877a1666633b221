//! Faults that can be planted into a partition, to show that tests see them. Empty without the feature.

use crate::state::State;
use openmesh_message::Timestamp;
use openmesh_schema::{Advance, ConversationState, IllegalAct, Transition};
use std::borrow::Cow;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Takes messages whose signature does not fit.
    SkipSignature,
    /// Takes acts that the protocol forbids, as steps that change nothing.
    AcceptIllegal,
    /// Forgets at a restart which messages were taken in.
    ForgetDedup,
    /// Begins a grown epoch in name only.
    ReusePosition,
    /// Forgets at a restore when conversations' timers are due.
    LoseTimer,
    /// Ends mail of a lease whatever token is named.
    IgnoreToken,
    /// Leaves an inbox out of snapshots.
    ShortSnapshot,
    /// Gives a number of a logical log twice.
    RepeatNumber,
    /// Puts an act into the inbox of every member.
    TellEveryone,
    /// Holds to what admission decided, whatever policy is in force since.
    OldPolicy,
    /// Hands messages to subscribers of other topics.
    DeliverAnywhere,
    /// Forgets with a subscription to a pattern all that are below its levels.
    CutBranch,
    /// Takes what the node signed for an agent for signed by the agent.
    CustodialAsSigned,
    /// Has mail ready at once that is to wait.
    IgnoreDelay,
    /// Takes in more of one sender's mail than an inbox may hold.
    IgnoreQuota,
    /// Calls back mail that its recipient holds.
    RecallLeased,
    /// Gives a shortcut to messages that ask for more than one gives.
    ShortenAll,
    /// Begins a stream's run anew with what the reader has not taken, though it was passed on.
    RepeatARun,
    /// Loses items of streams that went on over another connection.
    LoseAnItem,
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

/// Plants a fault into every partition of this thread, or weeds it out.
#[cfg(feature = "planted-bugs")]
pub fn plant(fault: Option<Planted>) {
    PLANTED.set(fault);
}

/// Whether a fault is planted.
#[cfg(feature = "planted-bugs")]
pub(crate) fn has(fault: Planted) -> bool {
    PLANTED.get() == Some(fault)
}

/// Whether a fault is planted: never, in this build.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn has(_: Planted) -> bool {
    false
}

/// What is made of an illegal act: nothing but a refusal.
pub(crate) fn excuse(
    illegal: IllegalAct,
    state: &ConversationState,
    now: Timestamp,
) -> Result<Advance, IllegalAct> {
    if has(Planted::AcceptIllegal) {
        let transition = Transition { at: now, effects: Vec::new() };
        return Ok(Advance { transition, after: Box::new(state.clone()) });
    }
    Err(illegal)
}

/// What a snapshot holds: all of the state.
pub(crate) fn to_keep(state: &State) -> Cow<'_, State> {
    let mut kept = Cow::Borrowed(state);
    if has(Planted::ShortSnapshot) {
        kept.to_mut().inboxes.remove_last();
    }
    kept
}

/// What is restored of a state: all of it.
pub(crate) fn to_restore(mut state: State) -> State {
    if has(Planted::ForgetDedup) {
        state.dedup = crate::dedup::Dedup::default();
    }
    state
}
