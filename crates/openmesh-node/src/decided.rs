//! What was decided and is to be kept and performed: the records of many plans, and their effects, in order.

use openmesh_core::{Effect, Plan, Sealed};
use openmesh_store::EncodedRecord;
use std::time::Instant;

/// Plans taken together.
#[derive(Default)]
pub(crate) struct Decided {
    /// To be kept, and synced, before any effect.
    pub(crate) records: Vec<EncodedRecord>,
    /// In the order they are performed.
    pub(crate) effects: Vec<Effect>,
    /// How many plans.
    pub(crate) plans: usize,
    /// Bytes of the records.
    pub(crate) bytes: u64,
    /// Since when the first of them waits.
    pub(crate) since: Option<Instant>,
    /// Whether something among them came by the express queue.
    pub(crate) is_urgent: bool,
}

impl Decided {
    /// Takes a plan in behind the others.
    pub(crate) fn add(&mut self, plan: Plan) {
        self.plans += 1;
        self.since.get_or_insert_with(Instant::now);
        for Sealed { position, header, salt, body } in plan.records {
            self.bytes += (header.len() + body.len()) as u64;
            self.records.push(EncodedRecord { position, header, salt, body });
        }
        self.effects.extend(plan.effects);
    }
}

impl From<Plan> for Decided {
    fn from(plan: Plan) -> Self {
        let mut decided = Self::default();
        decided.add(plan);
        decided
    }
}
