//! What is compared after every recovery and at the end of a run.

use crate::node::From;
use crate::violation::{Violation, ensure};
use crate::world::World;
use openmesh_core::Partition;
use openmesh_core::record::Record;
use openmesh_core::replay::Replay;
use openmesh_message::ConversationId;
use std::collections::BTreeMap;

impl World {
    /// A recovered partition is the log's, however it was recovered, and keeps every promise made.
    pub(crate) fn check_recovered(
        &self,
        partition: &Partition,
        from_snapshot: bool,
    ) -> Result<(), Violation> {
        self.model.compare(partition.state(), partition.next_deadline())?;
        if from_snapshot {
            let whole = self.node.recover(From::Log)?;
            ensure(
                whole.state() == partition.state() && whole.next_deadline() == partition.next_deadline(),
                "snapshot and tail give what the whole log gives",
                || "they differ".to_owned(),
            )?;
        }
        self.check_promises()
    }

    pub(crate) fn check_all(&mut self) -> Result<(), Violation> {
        self.check_promises()?;
        let whole = self.node.recover(From::Log)?;
        ensure(
            whole.state() == self.node.partition.state(),
            "the state that lived is the one its log gives",
            || "they differ".to_owned(),
        )?;
        self.model.compare(whole.state(), whole.next_deadline())?;
        self.check_replays()
    }

    /// Every receipt names a record that is there, at that position, with that message.
    fn check_promises(&self) -> Result<(), Violation> {
        for (digest, position) in &self.node.promised {
            let kept = self.node.log.position(position.seq);
            ensure(kept == Some(*position), "what a receipt names survives", || {
                format!("{digest} at {position}; there is {kept:?}")
            })?;
            let record = self.node.log.record(position.seq)?;
            let message = record.message().map(openmesh_message::Envelope::digest);
            ensure(message == Some(*digest), "what a receipt names survives", || {
                format!("{position} holds another message")
            })?;
        }
        Ok(())
    }

    /// Each conversation, decided again record by record, agrees with what was kept.
    fn check_replays(&self) -> Result<(), Violation> {
        let mut talks: BTreeMap<ConversationId, Vec<Record>> = BTreeMap::new();
        for seq in 1..=self.node.log.head() {
            let record = self.node.log.record(seq)?;
            if let Some(id) = record.step().map(|step| step.conversation) {
                talks.entry(id).or_default().push(record);
            }
        }
        let live: BTreeMap<_, _> = self.node.partition.state().conversations().collect();
        let directory = self.node.partition.view().directory;
        for (id, records) in &talks {
            let mut replay = Replay::new(*id, &self.catalog, &directory);
            for record in records {
                replay
                    .step(record)
                    .map_err(|divergence| Violation::new("replay agrees", divergence.to_string()))?;
            }
            ensure(live.get(id).copied() == replay.state(), "replay agrees", || {
                format!("{id} ends in another state")
            })?;
        }
        Ok(())
    }
}
