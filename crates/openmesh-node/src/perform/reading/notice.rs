//! Notices: what the node tells members of a conversation about steps that no act of theirs made.

use openmesh_core::View;
use openmesh_core::record::Record;
use openmesh_message::{
    Address, AgentId, AgentRef, Draft, Envelope, KeyPair, Performative, Target, VersionedName,
};

const NOTICE_SCHEMA: &str = "openmesh/mesh/notice@v1.0.0";

/// Renders a notice of a record as a message signed by the node; the same bytes each time.
pub(super) fn render_notice(
    record: &Record,
    index: u16,
    to: &AgentId,
    node: &KeyPair,
    view: &View,
) -> Option<Envelope> {
    let step = record.step()?;
    let notice = step.notices.get(usize::from(index))?;
    let schema: VersionedName = NOTICE_SCHEMA.parse().ok()?;
    let schema = view.catalog.schema_named(&schema)?.pinned().clone();
    let payload = serde_json_canonicalizer::to_vec(&notice.payload(&step.conversation)).ok()?;
    let id = format!("notice-{}-{index}", record.header.position);
    let address = Address::new(view.domain, Target::Agent(AgentRef::Id(*to)));
    let notice = Draft::new(id, record.header.at, &address, &Performative::Inform)
        .schema(&schema)
        .json(payload)
        .extension("causationid", &step.conversation.to_string())
        .sign(node);
    notice.ok()
}
