//! A seller: reckons what each request would cost it, offers or declines, bargains, and signs what was agreed.

use super::cost_model::{Answer, Calculation, Interest, reckon};
use super::misbehaviour;
use super::trader::{Trader, read_act, read_notice, read_price};
use crate::demo::OFFER_MARGIN_MS;
use crate::demo::cue::Entry;
use crate::demo::price::Price;
use anyhow::{Context, Result, ensure};
use openmesh_message::{ConversationId, Digest, Timestamp};
use openmesh_sdk::{AgentId, Draft, Envelope, Performative, now, parse_json};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a seller knows.
pub(super) struct Seller {
    name: String,
    seed: u64,
    will_misbehave: bool,
    seen: u64,
    open: BTreeMap<ConversationId, Talk>,
}

/// One negotiation in which the seller offered.
struct Talk {
    call: Call,
    figures: Calculation,
    price: Price,
    offer: Digest,
    accepted: bool,
}

/// What a request says.
pub(super) struct Call {
    pub(super) conversation: ConversationId,
    pub(super) buyer: AgentId,
    pub(super) rfp: String,
    pub(super) budget: Price,
    pub(super) currency: String,
    end: Timestamp,
}

impl Seller {
    pub(super) fn new(name: &str, entry: &Entry) -> Self {
        let name = name.to_owned();
        Self { name, seed: entry.seed, will_misbehave: entry.misbehave, seen: 0, open: BTreeMap::new() }
    }

    /// Answers a request of the topic, unless it has no time or too little is left of it.
    pub(super) async fn read_call(&mut self, trader: &mut Trader, envelope: &Envelope) -> Result<()> {
        let Some(call) = Call::read(envelope) else { return Ok(()) };
        self.seen += 1;
        let interest = reckon(self.seed, &self.name, &call.rfp, call.budget, self.seen == 1);
        if call.end.since_ms(now()) < OFFER_MARGIN_MS {
            return Ok(());
        }
        match interest {
            Interest::Busy => Ok(()),
            Interest::TooDear => {
                let draft = call.draft(trader, &Performative::Refuse)?;
                trader.act(draft.json(&br#"{"reason":"it costs more than the budget"}"#[..])).await?;
                Ok(())
            }
            Interest::Offer(figures) => self.offer(trader, envelope, call, figures).await,
        }
    }

    async fn offer(
        &mut self,
        trader: &mut Trader,
        request: &Envelope,
        call: Call,
        figures: Calculation,
    ) -> Result<()> {
        let price = figures.asked;
        let offer = if std::mem::take(&mut self.will_misbehave) {
            misbehaviour::before_offering(trader, &call, request).await?;
            misbehaviour::offering(trader, &call, price).await?
        } else {
            let draft = call.offer(trader, &Performative::Propose, price)?;
            trader.act(draft).await?
        };
        self.open.insert(call.conversation, Talk { call, figures, price, offer, accepted: false });
        Ok(())
    }

    /// Reads one message of the inbox.
    pub(super) async fn read(&mut self, trader: &mut Trader, envelope: &Envelope) -> Result<()> {
        if let Some(notice) = read_notice(envelope) {
            if notice.outcome.is_some() {
                self.open.remove(&notice.conversation);
            }
            return Ok(());
        }
        let Some(act) = read_act(envelope) else { return Ok(()) };
        let Some(talk) = self.open.get_mut(&act.conversation) else { return Ok(()) };
        match act.performative.as_str() {
            "counter-propose" => {
                let answer = talk.figures.answer(talk.price, read_price(envelope)?);
                talk.answer(trader, answer, act.digest).await?;
                if answer == Answer::Leave {
                    self.open.remove(&act.conversation);
                }
            }
            "accept-proposal" => talk.accepted = true,
            "reject-proposal" => {
                self.open.remove(&act.conversation);
            }
            "inform" => talk.sign(trader, envelope).await?,
            _ => {}
        }
        Ok(())
    }
}

impl Talk {
    async fn answer(&mut self, trader: &mut Trader, answer: Answer, countered: Digest) -> Result<()> {
        match answer {
            Answer::Leave => {
                let draft = self.call.draft(trader, &Performative::Refuse)?;
                let draft = draft.parents(&[countered]);
                trader.act(draft.json(&br#"{"reason":"too far below what it costs"}"#[..])).await?;
            }
            Answer::Offer(price) => {
                let draft = self.call.offer(trader, &Performative::CounterPropose, price)?;
                self.offer = trader.act(draft.parents(&[countered])).await?;
                self.price = price;
            }
        }
        Ok(())
    }

    /// Signs the buyer's very bytes, if they say what was agreed.
    async fn sign(&self, trader: &mut Trader, contract: &Envelope) -> Result<()> {
        let terms: Value = parse_json(contract)?;
        let text = |pointer: &str| terms.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let own_id = trader.mesh.id().to_string();
        ensure!(self.accepted, "a contract came before the offer was accepted");
        ensure!(text("/proposal") == self.offer.to_string(), "the contract names another offer");
        ensure!(text("/parties/1/id") == own_id, "the contract names another seller");
        ensure!(text("/value/currency") == self.call.currency, "the contract is in another currency");
        ensure!(read_price(contract)? == self.price, "the contract names another price");
        let draft = self.call.draft(trader, &Performative::Inform)?;
        let draft = draft.schema(&trader.contract).json(contract.payload.clone());
        trader.act(draft).await.context("cannot sign the contract")?;
        Ok(())
    }
}

impl Call {
    /// Reads a request; `None` for anything else.
    fn read(envelope: &Envelope) -> Option<Self> {
        let act = read_act(envelope).filter(|act| act.performative == "cfp")?;
        let payload: Value = parse_json(envelope).ok()?;
        let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            conversation: act.conversation,
            buyer: act.sender,
            rfp: text("/id")?,
            budget: read_price(envelope).ok()?,
            currency: text("/value/currency")?,
            end: Timestamp::parse(&text("/tenderPeriod/endDate")?).ok()?,
        })
    }

    /// An act to the buyer in the making.
    pub(super) fn draft(&self, trader: &Trader, act: &Performative) -> Result<Draft> {
        trader.draft(&self.buyer.to_string(), act, &self.conversation)
    }

    /// An offer in the making.
    pub(super) fn offer(&self, trader: &Trader, act: &Performative, price: Price) -> Result<Draft> {
        let payload = json!({"rfp": self.rfp, "value": price.value(&self.currency)});
        let to = self.buyer.to_string();
        trader.draft_with(&to, act, &self.conversation, (&trader.proposal, &payload))
    }
}
