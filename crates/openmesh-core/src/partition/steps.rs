//! Names for steps of a message's path that have no public one (feature `steps`): benchmarks and counts of instructions
//! take each alone. Nothing here does anything of its own.

use crate::admit::{Admitted, Familiar};
use crate::conversation::check;
use crate::dedup::{Lookup, Remembered, short};
use crate::partition::Partition;
use crate::record::{Header, SealedBody};
use crate::view::View;
use openmesh_message::{Timestamp, TopicPath};
use openmesh_policy::StaticDecision;

/// What the rules say of a message that was admitted; what `familiar` knows of the ones before spares it the rules.
pub fn rule(admitted: &Admitted, view: &View, familiar: &mut Familiar) -> StaticDecision {
    familiar.decision(&admitted.control, admitted.authenticity, view)
}

/// The body of the record that will keep a message.
pub fn seal(admitted: &Admitted, view: &View) -> SealedBody {
    view.sealing.seal_message(&admitted.envelope, &admitted.digest())
}

/// The header of a record, as the log keeps it.
pub fn encode_header(header: &Header) -> Vec<u8> {
    header.encoded()
}

/// Whether a message was not taken in before.
pub fn is_fresh(partition: &Partition, admitted: &Admitted) -> bool {
    partition.look_up(admitted) == Lookup::Fresh
}

/// A message under another id, which it has no proof of.
pub fn renamed(admitted: &Admitted, id: &str) -> Admitted {
    admitted.clone().renamed(id)
}

/// Remembers that a message was taken in as record `seq`.
pub fn remember(partition: &mut Partition, admitted: &Admitted, seq: u64, now: Timestamp) {
    let control = &admitted.control;
    let (id, check) = (admitted.short_id(), short(&admitted.digest()));
    let remembered = Remembered { sender: &control.source, id, check, seq, time: control.time };
    partition.state.dedup.remember(remembered, partition.config.dedup_ids_max, now);
}

/// Whether the protocol of a message's conversation allows it; the state it leads to is made and dropped.
pub fn converse(partition: &Partition, admitted: &Admitted, now: Timestamp) -> bool {
    let conversation = partition.conversation_of(&admitted.control);
    let check = |id| check(conversation, id, admitted, &partition.view, now);
    admitted.control.conversation.as_ref().is_some_and(|id| check(id).is_ok())
}

/// How many subscriptions take in a topic.
pub fn matching(partition: &Partition, topic: &TopicPath) -> usize {
    partition.routes.matching(topic).len()
}
