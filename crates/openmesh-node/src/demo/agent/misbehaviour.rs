//! What the third seller tries before it behaves: each misdeed once, each with the code of its refusal.

use super::seller::Call;
use super::trader::Trader;
use crate::demo::OTHER_SELLER;
use crate::demo::price::Price;
use anyhow::{Context, Result, bail};
use openmesh_message::{Digest, Proof};
use openmesh_sdk::{Envelope, Performative, canonical_json};
use serde_json::json;
use std::time::Instant;

/// How far over the budget the seller asks.
const OVERCHARGE: f64 = 1.25;
/// What a forged offer asks.
const UNDERCUT: f64 = 0.5;

/// Something that no honest agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Misdeed {
    /// An offer whose price is a word.
    InvalidPayload,
    /// An offer changed after it was signed.
    ForgedSignature,
    /// An offer in the name of another seller.
    Impersonation,
    /// The buyer's signed request, sent once more.
    Replay,
    /// An offer beyond what the buyer may pay.
    OverBudget,
    /// A second offer before the buyer answered the first.
    OutOfTurn,
    /// Accepting its own offer.
    IllegalAct,
}

impl Misdeed {
    /// Every misdeed, in the order in which they are tried.
    pub(crate) const ALL: [Self; 7] = [
        Self::InvalidPayload,
        Self::ForgedSignature,
        Self::Impersonation,
        Self::Replay,
        Self::OverBudget,
        Self::OutOfTurn,
        Self::IllegalAct,
    ];

    /// In words.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::InvalidPayload => "an offer whose price is a word",
            Self::ForgedSignature => "an offer changed after it was signed",
            Self::Impersonation => "an offer in another seller's name",
            Self::Replay => "the buyer's own signed request, sent again",
            Self::OverBudget => "an offer over the budget",
            Self::OutOfTurn => "a second offer before its first is answered",
            Self::IllegalAct => "accepting its own offer",
        }
    }

    /// The code of the refusal.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::InvalidPayload => "schema.invalid",
            Self::ForgedSignature => "signature.invalid",
            Self::Impersonation => "source.mismatch",
            Self::Replay => "message.replayed",
            Self::OverBudget => "protocol.requirement_unmet",
            Self::OutOfTurn => "protocol.out_of_turn",
            Self::IllegalAct => "protocol.illegal_step",
        }
    }
}

/// Tries what needs no offer of its own.
pub(super) async fn before_offering(trader: &mut Trader, call: &Call, request: &Envelope) -> Result<()> {
    let misdeeds = [
        (Misdeed::InvalidPayload, priced_in_words(trader, call)?),
        (Misdeed::ForgedSignature, changed_after_signing(trader, call)?),
        (Misdeed::Impersonation, in_anothers_name(trader, call).await?),
        (Misdeed::Replay, request.clone()),
        (Misdeed::OverBudget, sign_offer(trader, call, call.budget.times(OVERCHARGE))?),
    ];
    for (misdeed, envelope) in misdeeds {
        let problem = trader.send(envelope).await?;
        let problem = problem.with_context(|| format!("{} was taken in", misdeed.describe()))?;
        trader.tell_refused(misdeed.describe(), &problem)?;
    }
    Ok(())
}

/// Makes its honest offer; two misdeeds leave together with it, so that the buyer cannot have answered before.
pub(super) async fn offering(trader: &mut Trader, call: &Call, price: Price) -> Result<Digest> {
    let offer = sign_offer(trader, call, price)?;
    let digest = offer.digest();
    let second = call.offer(trader, &Performative::CounterPropose, price)?.parents(&[digest]);
    let second = trader.mesh.sign(second)?;
    let accept = call.draft(trader, &Performative::AcceptProposal)?.parents(&[digest]);
    let accept = trader.mesh.sign(accept)?;
    let started = Instant::now();
    let sent = trader.mesh.send_batch(vec![offer, second, accept]).await?;
    let deeds = [None, Some(Misdeed::OutOfTurn), Some(Misdeed::IllegalAct)];
    for (deed, sent) in deeds.into_iter().zip(sent) {
        match (deed, trader.count(sent, started)?) {
            (None, None) => {}
            (None, Some(problem)) => {
                trader.tell_refused("an honest propose", &problem)?;
                bail!("an honest propose was refused: {}: {}", problem.code, problem.detail);
            }
            (Some(misdeed), Some(problem)) => trader.tell_refused(misdeed.describe(), &problem)?,
            (Some(misdeed), None) => bail!("{} was taken in", misdeed.describe()),
        }
    }
    Ok(digest)
}

fn sign_offer(trader: &Trader, call: &Call, price: Price) -> Result<Envelope> {
    Ok(trader.mesh.sign(call.offer(trader, &Performative::Propose, price)?)?)
}

fn priced_in_words(trader: &Trader, call: &Call) -> Result<Envelope> {
    let words = json!({"rfp": call.rfp, "value": {"amount": "cheap", "currency": call.currency}});
    let draft = call.draft(trader, &Performative::Propose)?.schema(&trader.proposal);
    Ok(trader.mesh.sign(draft.json(canonical_json(&words)?))?)
}

fn changed_after_signing(trader: &Trader, call: &Call) -> Result<Envelope> {
    let mut envelope = sign_offer(trader, call, call.budget)?;
    let value = call.budget.times(UNDERCUT).value(&call.currency);
    envelope.payload = canonical_json(&json!({"rfp": call.rfp, "value": value}))?;
    Ok(envelope)
}

async fn in_anothers_name(trader: &Trader, call: &Call) -> Result<Envelope> {
    let agents = trader.agents().await?;
    let other = agents.get(OTHER_SELLER).context("there is no other seller")?;
    let draft = call.offer(trader, &Performative::Propose, call.budget.times(UNDERCUT))?;
    let mut envelope = draft.unsigned(other)?;
    envelope.proof = Some(Proof::sign(trader.mesh.key(), &envelope.digest()));
    Ok(envelope)
}

#[cfg(test)]
mod tests {
    use super::Misdeed;
    use openmesh_core::Rejection;
    use std::collections::BTreeSet;

    #[test]
    fn each_misdeed_has_its_own_code_and_the_core_can_give_it() {
        let codes: BTreeSet<_> = Misdeed::ALL.iter().map(|misdeed| misdeed.code()).collect();
        assert_eq!(codes.len(), Misdeed::ALL.len());
        let known: BTreeSet<_> = Rejection::codes().collect();
        assert!(codes.is_subset(&known));
    }
}
