//! What a connection's earlier messages spare its later ones. All of it is bounded, and none of it says more than asking anew.

use super::send_context;
use crate::pipeline::is_kept;
use crate::view::{Identity, View};
use openmesh_message::{
    AgentId, Attributes, ControlAttributes, ControlError, Digest, Envelope, Form, KnownTree, Proof,
    ProofError, Steering,
};
use openmesh_policy::{Authenticity, StaticDecision};
use openmesh_schema::Schema;
use std::collections::BTreeSet;
use std::sync::Arc;

const VERIFIED_ROOTS_MAX: usize = 64;
/// Forms of which something is known: as many as a connection's way in knows.
const FORMS_MAX: usize = 8;

/// What a connection's earlier messages spare its later ones.
#[derive(Default)]
pub struct Familiar {
    pub(super) roots: VerifiedRoots,
    /// The latest used first.
    forms: Vec<Known>,
}

/// What is known of messages of one form.
struct Known {
    form: Arc<Form>,
    steering: Arc<Steering>,
    ruled: Option<Ruled>,
}

/// What one view says of messages of one form, known in one way.
struct Ruled {
    view: Identity,
    authenticity: Authenticity,
    ruling: Ruling,
}

/// What a view says of a message but for what is the message's own, and its payload.
#[derive(Clone)]
pub(super) struct Ruling {
    pub(super) decision: StaticDecision,
    pub(super) is_kept: bool,
    /// The schema that it names, where that is published.
    pub(super) schema: Option<Arc<Schema>>,
}

/// Signed roots already verified on a connection, by their full bytes: a batch costs one verification. And what is
/// known of the latest batch's tree, so that its messages cost few hashes.
#[derive(Default)]
pub(super) struct VerifiedRoots {
    roots: BTreeSet<(AgentId, Digest, [u8; 64])>,
    latest: Option<KnownTree>,
}

impl Familiar {
    /// Whether a message would be kept, as far as its attributes tell; nothing of it is proven.
    pub fn would_keep(&mut self, envelope: &Envelope, view: &View) -> bool {
        self.control(&envelope.attributes).is_ok_and(|control| is_kept(&control, &view.topics))
    }

    /// Reads what steers a message.
    pub(super) fn control(&mut self, attributes: &Attributes) -> Result<ControlAttributes, ControlError> {
        let Some(form) = attributes.form() else {
            return ControlAttributes::parse(attributes);
        };
        if let Some(index) = self.forms.iter().position(|known| Arc::ptr_eq(&known.form, form)) {
            if let Some(until) = self.forms.get_mut(..=index).filter(|_| index > 0) {
                until.rotate_right(1);
            }
            if let Some(known) = self.forms.first() {
                return ControlAttributes::parse_alike(attributes, &known.steering);
            }
        }
        let control = ControlAttributes::parse(attributes)?;
        self.forms.truncate(FORMS_MAX - 1);
        let (form, steering) = (Arc::clone(form), Arc::clone(control.steering()));
        self.forms.insert(0, Known { form, steering, ruled: None });
        Ok(control)
    }

    /// What the view says of a message: found once for those that share all it depends on.
    pub(super) fn rule(
        &mut self,
        control: &ControlAttributes,
        authenticity: Authenticity,
        view: &View,
    ) -> Ruling {
        let known = self.forms.iter_mut().find(|known| Arc::ptr_eq(&known.steering, control.steering()));
        let Some(known) = known else {
            return Ruling::of(control, authenticity, view);
        };
        let holds = |ruled: &&Ruled| ruled.view == view.identity && ruled.authenticity == authenticity;
        if let Some(ruled) = known.ruled.as_ref().filter(holds) {
            return ruled.ruling.clone();
        }
        let ruling = Ruling::of(control, authenticity, view);
        known.ruled = Some(Ruled { view: view.identity.clone(), authenticity, ruling: ruling.clone() });
        ruling
    }
}

#[cfg(feature = "steps")]
impl Familiar {
    /// What the rules say of a message.
    pub(crate) fn decision(
        &mut self,
        control: &ControlAttributes,
        authenticity: Authenticity,
        view: &View,
    ) -> StaticDecision {
        self.rule(control, authenticity, view).decision
    }
}

impl Ruling {
    fn of(control: &ControlAttributes, authenticity: Authenticity, view: &View) -> Self {
        let pinned = control.schema.as_ref();
        let published = pinned.and_then(|pinned| view.catalog.schema(&pinned.digest));
        Self {
            decision: view.policy.decide_static(&send_context(control, authenticity, view)),
            is_kept: is_kept(control, &view.topics),
            schema: published.filter(|schema| Some(schema.pinned()) == pinned).cloned(),
        }
    }
}

impl VerifiedRoots {
    /// Checks that a proof was made over a digest with the key it names.
    pub(super) fn verify(&mut self, proof: &Proof, digest: &Digest) -> Result<(), ProofError> {
        if self.latest.as_mut().is_some_and(|tree| tree.holds(proof, digest)) {
            return Ok(());
        }
        let (signed, signature) = proof.signed(digest)?;
        let key = (*proof.keyid(), signed, *signature.as_bytes());
        if !self.roots.contains(&key) {
            proof.verify(proof.keyid(), digest)?;
            if self.roots.len() >= VERIFIED_ROOTS_MAX {
                self.roots.pop_first();
            }
            self.roots.insert(key);
        }
        self.latest = KnownTree::of(proof, digest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{FORMS_MAX, Familiar, Identity};
    use crate::admit::{Admitted, admit};
    use crate::partition::{Config, Partition};
    use crate::rejection::Rejection;
    use crate::view::View;
    use openmesh_message::frame::{ClientFrame, FrameDecoder, FrameEncoder};
    use openmesh_message::{
        Address, AgentId, Authority, ConversationId, Custodian, Digest, DomainId, Draft, Envelope, KeyPair,
        Performative, Target, Timestamp,
    };
    use openmesh_policy::{DEFAULT_OPEN, Policy};
    use std::sync::Arc;

    const NOW: Timestamp = Timestamp::from_millis(1_790_860_800_000);
    const DOMAIN: DomainId = DomainId::from_bytes([1; 32]);
    const NO_BIDS: &str = "
[[rule]]
name = \"no-bids\"
action = \"send\"
who = \"any\"
performative = \"propose\"
verdict = \"deny\"
reason = \"no bids any more\"
";

    fn agent(number: u8) -> AgentId {
        KeyPair::from_seed(&[number; 32]).unwrap().id()
    }

    fn view() -> View {
        let config = Config::new(DOMAIN, Digest::ZERO, [7; 32], Custodian::new([8; 32]));
        let mut view = Partition::new(config, Policy::default_open()).view();
        Arc::make_mut(&mut view.directory).register(agent(3), "writer".parse().unwrap(), NOW);
        view
    }

    fn conversation(number: usize) -> ConversationId {
        format!("0190c9a0-0000-7000-8000-{number:012x}").parse().unwrap()
    }

    /// Bids as they come on one connection, each to one of so many agents and in a conversation of its own.
    fn bids(view: &View, count: usize, receivers: usize) -> Vec<Envelope> {
        let mut protocols = view.catalog.protocols().map(|protocol| protocol.pinned());
        let protocol = protocols.find(|pinned| pinned.to_string().contains("contract-net")).unwrap();
        let bid = |number: usize| {
            let to = Target::parse(&format!("agent:reader-{}", number % receivers), ':').unwrap();
            let draft = Draft::new("bid", NOW, &Address::new(DOMAIN, to), &Performative::Propose);
            draft.conversation(protocol, &conversation(number)).unsigned(&agent(3)).unwrap()
        };
        let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
        let mut arrive = |number| {
            let mut frame = Vec::new();
            encoder.encode_client(&ClientFrame::Send(vec![(0, bid(number))]), &mut frame).unwrap();
            match decoder.decode_client(&frame[4..]).unwrap() {
                ClientFrame::Send(mut messages) => messages.remove(0).1,
                other => panic!("{other:?}"),
            }
        };
        (0..count).map(&mut arrive).collect()
    }

    fn offer(envelope: &Envelope, view: &View, familiar: &mut Familiar) -> Result<Admitted, Rejection> {
        admit(envelope.clone(), agent(3), view, familiar, NOW).map_err(|refused| refused.rejection)
    }

    #[test]
    fn messages_of_one_form_share_what_steers_them_but_nothing_that_is_their_own() {
        let (view, mut familiar) = (view(), Familiar::default());
        let bids = bids(&view, 6, 1);
        assert!(bids[5].attributes.form().is_some());
        let admitted: Vec<_> = bids.iter().map(|bid| offer(bid, &view, &mut familiar).unwrap()).collect();
        for (number, one) in admitted.iter().enumerate() {
            assert_eq!(one.control.conversation, Some(conversation(number)));
        }
        assert!(Arc::ptr_eq(admitted[4].control.steering(), admitted[5].control.steering()));
    }

    #[test]
    fn what_was_ruled_holds_as_long_as_the_view_does() {
        let (view, mut familiar) = (view(), Familiar::default());
        let bids = bids(&view, 6, 1);
        for bid in &bids {
            assert!(offer(bid, &view, &mut familiar).is_ok());
        }
        let policy = Policy::parse(&format!("{DEFAULT_OPEN}{NO_BIDS}"), Authority::Domain(DOMAIN)).unwrap();
        let later = View { policy, identity: Identity::default(), ..view.clone() };
        assert!(matches!(offer(&bids[5], &later, &mut familiar), Err(Rejection::Denied(_))));
        assert!(offer(&bids[5], &view, &mut familiar).is_ok());
    }

    #[test]
    fn only_so_many_forms_are_known() {
        let (view, mut familiar) = (view(), Familiar::default());
        for bid in bids(&view, 40, 10) {
            assert!(offer(&bid, &view, &mut familiar).is_ok());
        }
        assert!(familiar.forms.len() <= FORMS_MAX);
    }
}
