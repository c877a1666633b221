//! A batch on its way to admission: signatures of many messages are checked on all cores, ahead of the task that admits them.

use openmesh_core::admit::Offered;
use openmesh_message::{Envelope, Proof};
use std::collections::VecDeque;
use std::vec::IntoIter;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

/// Messages of a batch that are admitted and handed in together.
const ADMITTED_AT_ONCE: usize = 16;
/// Messages with a signature each that are checked together: about as long as a connection's turn.
const PROVEN_AT_ONCE: usize = 4;
/// With fewer, nothing is won by checking them elsewhere.
const PROVEN_ELSEWHERE_MIN: usize = 2 * PROVEN_AT_ONCE;

type Tagged<T> = Vec<(u64, T)>;

/// Messages of one batch, in the order they came.
pub(super) struct Offers {
    messages: IntoIter<(u64, Envelope)>,
    /// What is being checked elsewhere: so much at a time that no core waits for this connection.
    ahead: VecDeque<JoinHandle<Tagged<Offered>>>,
    /// How much that may be; none where each is checked when it is admitted.
    ahead_max: usize,
}

impl Offers {
    pub(super) fn of(messages: Tagged<Envelope>) -> Self {
        let cores = Handle::current().metrics().num_workers();
        let signed = messages.iter().filter(|(_, envelope)| is_signed_alone(envelope));
        let is_elsewhere = cores > 1 && signed.count() >= PROVEN_ELSEWHERE_MIN;
        let ahead_max = if is_elsewhere { cores + 1 } else { 0 };
        Self { messages: messages.into_iter(), ahead: VecDeque::new(), ahead_max }
    }

    /// Whether there are none left.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.len() == 0 && self.ahead.is_empty()
    }

    /// The next, to be admitted together.
    ///
    /// # Errors
    /// When they could not be checked, since the node is stopping.
    pub(super) async fn next(&mut self) -> Result<Tagged<Offered>, JoinError> {
        if self.ahead_max == 0 {
            let some = self.messages.by_ref().take(ADMITTED_AT_ONCE);
            return Ok(some.map(|(tag, envelope)| (tag, envelope.into())).collect());
        }
        self.look_ahead();
        match self.ahead.pop_front() {
            Some(proven) => proven.await,
            None => Ok(Vec::new()),
        }
    }

    fn look_ahead(&mut self) {
        while self.ahead.len() < self.ahead_max && self.messages.len() > 0 {
            let some: Vec<_> = self.messages.by_ref().take(PROVEN_AT_ONCE).collect();
            self.ahead.push_back(tokio::spawn(async { some.into_iter().map(prove).collect() }));
        }
    }
}

fn prove((tag, envelope): (u64, Envelope)) -> (u64, Offered) {
    let offered = if is_signed_alone(&envelope) { Offered::proven(envelope) } else { envelope.into() };
    (tag, offered)
}

/// Whether a message has a signature of its own. One for many costs little more than a digest: the connection knows it.
const fn is_signed_alone(envelope: &Envelope) -> bool {
    matches!(envelope.proof, Some(Proof::Single { .. }))
}
