//! A conversation: acts that its protocol allows, and such as it does not.

use super::{Case, Corpus};
use crate::doors::maker::Maker;
use openmesh_message::{Address, ConversationId, Draft, Envelope, PinnedName};
use openmesh_schema::Catalog;
use openmesh_sdk::{Performative, now};
use serde_json::json;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What the acts of one conversation have in common.
struct Talk {
    id: ConversationId,
    negotiation: PinnedName,
    rfp: PinnedName,
    proposal: PinnedName,
    to: Address,
}

impl Corpus {
    pub(super) fn acts(&self, maker: &mut Maker) -> Vec<Case> {
        let catalog = Catalog::builtin();
        let schema = |name: &str| catalog.schema_named(&name.parse().unwrap()).unwrap().pinned().clone();
        let protocol = |name: &str| {
            let found = catalog.protocols().find(|protocol| protocol.pinned().versioned.to_string() == name);
            found.unwrap().pinned().clone()
        };
        let talk = Talk {
            id: openmesh_sdk::new_conversation_id().unwrap(),
            negotiation: protocol("openmesh/market/negotiation@v1.0.0"),
            rfp: schema("openmesh/market/rfp@v1.0.0"),
            proposal: schema("openmesh/market/proposal@v1.0.0"),
            to: maker.to.clone(),
        };
        let request = protocol("openmesh/fipa/request@v1.0.0");
        let unknown: PinnedName =
            format!("openmesh/market/haggling@v1.0.0#sha256-{}", openmesh_message::Digest::ZERO)
                .parse()
                .unwrap();
        let mut act = |performative: &Performative, protocol: &PinnedName, fill: &dyn Fn(Draft) -> Draft| {
            let draft = maker.draft_to(&talk.to, performative, now()).conversation(protocol, &talk.id);
            fill(draft).sign(&self.key).unwrap()
        };
        let own = &talk.negotiation;
        let call = |draft: Draft| draft.schema(&talk.rfp).json(rfp());
        let offer = |draft: Draft| draft.schema(&talk.proposal).json(proposal());
        let plain = |draft: Draft| draft;
        let mut cases = vec![
            illegal("an offer before the call", act(&Performative::Propose, own, &offer)),
            illegal("a cancellation before the call", act(&Performative::Cancel, own, &plain)),
            Case::refused(
                "a protocol nobody knows",
                act(&Performative::Cfp, &unknown, &call),
                "protocol.unknown",
            ),
            Case::refused(
                "a call without its payload",
                act(&Performative::Cfp, own, &plain),
                "protocol.wrong_schema",
            ),
            Case::accepted("the call", act(&Performative::Cfp, own, &call)),
            illegal("a second call", act(&Performative::Cfp, own, &call)),
            illegal("an offer by the buyer", act(&Performative::Propose, own, &offer)),
            Case::refused(
                "an acceptance of nothing",
                act(&Performative::AcceptProposal, own, &plain),
                "protocol.no_instance",
            ),
            Case::refused(
                "another protocol",
                act(&Performative::Request, &request, &plain),
                "protocol.other",
            ),
            Case::accepted("the cancellation", act(&Performative::Cancel, own, &plain)),
            Case::refused("after the end", act(&Performative::Cancel, own, &plain), "protocol.ended"),
        ];
        let mut unsigned = act(&Performative::Cfp, own, &call);
        unsigned.proof = None;
        cases.push(Case::refused("an act without a signature", unsigned, "signature.required"));
        cases
    }
}

fn illegal(name: &str, envelope: Envelope) -> Case {
    Case::refused(name, envelope, "protocol.illegal_step")
}

fn rfp() -> Vec<u8> {
    let end = now().plus_ms(DAY_MS).to_string();
    canonical(&json!({
        "id": "rfp-1", "title": "Chairs", "items": [{"id": "1"}],
        "value": {"amount": 100, "currency": "EUR"}, "tenderPeriod": {"endDate": end},
    }))
}

fn proposal() -> Vec<u8> {
    canonical(&json!({"rfp": "rfp-1", "value": {"amount": 90, "currency": "EUR"}}))
}

fn canonical(value: &serde_json::Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).unwrap()
}
