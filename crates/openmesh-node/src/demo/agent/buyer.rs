//! The buyer: sends out requests, bargains, awards the best offer, and signs the contract.
//!
//! It acts on a bid only when it is its turn there, and awards only when no seller owes it an answer, so that
//! none of its acts crosses another's.

use super::post::tell;
use super::trader::{NoticeRead, Trader, read_act, read_notice, read_price};
use crate::demo::cue::News;
use crate::demo::dice::Dice;
use crate::demo::price::Price;
use crate::demo::rfp::Rfp;
use crate::demo::{FIRST_TENDER_MS, SELLER_PREFIX, TENDER_MS, TOPIC};
use anyhow::{Context, Result};
use openmesh_message::{ConversationId, Digest};
use openmesh_sdk::{AgentId, Envelope, Performative, new_conversation_id, now};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};

/// Negotiations under way at once.
const OPEN_MAX: usize = 8;
/// How often the buyer has less to spend than it published.
const CUT: f64 = 0.18;

/// What the buyer knows.
pub(super) struct Buyer {
    seed: u64,
    sellers: BTreeMap<AgentId, String>,
    auditor: Option<AgentId>,
    waiting: VecDeque<Rfp>,
    sent_out: usize,
    open: BTreeMap<ConversationId, Negotiation>,
}

struct Negotiation {
    rfp: Rfp,
    plan: Plan,
    closed: bool,
    answered: usize,
    decided: bool,
    /// Bids that still stand.
    bids: BTreeMap<AgentId, Bid>,
}

/// What the buyer means to do, known to it alone.
struct Plan {
    target: Price,
    most: Price,
    counters_max: u32,
    push: f64,
}

struct Bid {
    price: Price,
    offer: Digest,
    is_our_turn: bool,
    counters: u32,
}

impl Buyer {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            seed,
            sellers: BTreeMap::new(),
            auditor: None,
            waiting: VecDeque::new(),
            sent_out: 0,
            open: BTreeMap::new(),
        }
    }

    /// Sends out the first requests; each of the others follows when a negotiation has ended.
    pub(super) async fn begin(&mut self, trader: &mut Trader, requests: Vec<Rfp>) -> Result<()> {
        let agents = trader.agents().await?;
        self.auditor = agents.get("auditor").copied();
        let sellers = agents.into_iter().filter(|(name, _)| name.starts_with(SELLER_PREFIX));
        self.sellers = sellers.map(|(name, id)| (id, name)).collect();
        self.waiting = requests.into();
        self.call_more(trader).await
    }

    /// Reads one message of the inbox.
    pub(super) async fn read(&mut self, trader: &mut Trader, envelope: &Envelope) -> Result<()> {
        if let Some(notice) = read_notice(envelope) {
            return self.read_notice(trader, &notice).await;
        }
        let Some(act) = read_act(envelope) else { return Ok(()) };
        let Some(negotiation) = self.open.get_mut(&act.conversation) else { return Ok(()) };
        match act.performative.as_str() {
            "propose" => {
                let bid =
                    Bid { price: read_price(envelope)?, offer: act.digest, is_our_turn: true, counters: 0 };
                negotiation.bids.insert(act.sender, bid);
                negotiation.answered += 1;
            }
            "counter-propose" => {
                let bid = negotiation.bids.get_mut(&act.sender).context("a counter without a bid")?;
                bid.price = read_price(envelope)?;
                bid.offer = act.digest;
                bid.is_our_turn = true;
            }
            "refuse" => {
                if negotiation.bids.remove(&act.sender).is_none() {
                    negotiation.answered += 1;
                }
            }
            _ => return Ok(()),
        }
        self.go_on(trader, &act.conversation).await
    }

    async fn read_notice(&mut self, trader: &mut Trader, notice: &NoticeRead) -> Result<()> {
        if notice.outcome.is_some() {
            self.open.remove(&notice.conversation);
            return self.call_more(trader).await;
        }
        let Some(negotiation) = self.open.get_mut(&notice.conversation) else { return Ok(()) };
        if notice.machine == "round" && notice.to == "closed" {
            negotiation.closed = true;
            return self.go_on(trader, &notice.conversation).await;
        }
        Ok(())
    }

    async fn call_more(&mut self, trader: &mut Trader) -> Result<()> {
        while self.open.len() < OPEN_MAX {
            let Some(rfp) = self.waiting.pop_front() else { return Ok(()) };
            self.call(trader, rfp).await?;
        }
        Ok(())
    }

    async fn call(&mut self, trader: &mut Trader, rfp: Rfp) -> Result<()> {
        let conversation = new_conversation_id()?;
        self.sent_out += 1;
        tell(&News::Called {
            number: self.sent_out,
            conversation: conversation.to_string(),
            title: rfp.title.clone(),
            budget: rfp.budget,
            currency: rfp.currency.clone(),
        })?;
        let is_first = self.sent_out == 1;
        let start = now();
        let end = start.plus_ms(if is_first { FIRST_TENDER_MS } else { TENDER_MS });
        let payload = rfp.payload(start, end);
        let payload = (&trader.rfp.clone(), &payload);
        let draft = trader.draft_with(TOPIC, &Performative::Cfp, &conversation, payload)?;
        let invited: Vec<_> = self.auditor.iter().map(|auditor| ("auditor", *auditor)).collect();
        trader.act(draft.invite(&invited)).await?;
        let plan = Plan::new(self.seed, &rfp, is_first);
        let bids = BTreeMap::new();
        let negotiation = Negotiation { rfp, plan, closed: false, answered: 0, decided: false, bids };
        self.open.insert(conversation, negotiation);
        Ok(())
    }

    /// Counters what is too dear; decides when nobody owes an answer any more.
    async fn go_on(&mut self, trader: &mut Trader, conversation: &ConversationId) -> Result<()> {
        let Some(negotiation) = self.open.get_mut(conversation) else { return Ok(()) };
        let all_answered = negotiation.answered == self.sellers.len();
        if negotiation.decided || !(all_answered || negotiation.closed) {
            return Ok(());
        }
        negotiation.counter(trader, conversation).await?;
        if negotiation.bids.values().any(|bid| !bid.is_our_turn) {
            return Ok(());
        }
        let Some((seller, price)) = negotiation.best() else { return Ok(()) };
        negotiation.decided = true;
        if price > negotiation.plan.most {
            let to = format!("conversation:{conversation}");
            let draft = trader.draft(&to, &Performative::Cancel, conversation)?;
            let draft = draft.json(&br#"{"reason":"no offer within what can be spent"}"#[..]);
            trader.act(draft).await?;
            return Ok(());
        }
        let name = self.sellers.get(&seller).cloned().unwrap_or_default();
        negotiation.award(trader, conversation, (&seller, &name)).await
    }
}

impl Negotiation {
    async fn counter(&mut self, trader: &mut Trader, conversation: &ConversationId) -> Result<()> {
        let plan = &self.plan;
        for (seller, bid) in &mut self.bids {
            let wanted = bid.is_our_turn && bid.counters < plan.counters_max && bid.price > plan.target;
            if !wanted {
                continue;
            }
            let price = bid.price.towards(plan.target, plan.push);
            let payload = json!({"rfp": self.rfp.id, "value": price.value(&self.rfp.currency)});
            let payload = (&trader.proposal.clone(), &payload);
            let act = Performative::CounterPropose;
            let draft = trader.draft_with(&seller.to_string(), &act, conversation, payload)?;
            trader.act(draft.parents(&[bid.offer])).await?;
            bid.is_our_turn = false;
            bid.counters += 1;
        }
        Ok(())
    }

    /// The lowest price, and who asks it.
    fn best(&self) -> Option<(AgentId, Price)> {
        let bids = self.bids.iter().map(|(seller, bid)| (*seller, bid.price));
        bids.min_by_key(|(_, price)| *price)
    }

    /// Accepts one offer, rejects the others, and sends the contract for the seller to sign too.
    async fn award(
        &mut self,
        trader: &mut Trader,
        conversation: &ConversationId,
        (winner, name): (&AgentId, &str),
    ) -> Result<()> {
        let (rfp, bids) = (&self.rfp, std::mem::take(&mut self.bids));
        let Some(won) = bids.get(winner) else { return Ok(()) };
        let accept = trader.draft(&winner.to_string(), &Performative::AcceptProposal, conversation)?;
        trader.act(accept.parents(&[won.offer])).await?;
        tell(&News::Awarded {
            conversation: conversation.to_string(),
            seller: name.to_owned(),
            price: won.price,
            currency: rfp.currency.clone(),
        })?;
        for (seller, bid) in bids.iter().filter(|(seller, _)| *seller != winner) {
            let reject = trader.draft(&seller.to_string(), &Performative::RejectProposal, conversation)?;
            trader.act(reject.parents(&[bid.offer])).await?;
        }
        let contract = json!({
            "rfp": rfp.id,
            "proposal": won.offer.to_string(),
            "parties": [
                {"id": trader.mesh.id().to_string(), "role": "buyer", "name": trader.name},
                {"id": winner.to_string(), "role": "seller", "name": name},
            ],
            "clauses": [
                format!("The seller supplies what request {} asks for: {}.", rfp.id, rfp.title),
                "The buyer pays the value within 30 days of delivery.",
                "Both parties signed these same bytes; the log of their domain holds both signatures.",
            ],
            "value": won.price.value(&rfp.currency),
        });
        let payload = (&trader.contract.clone(), &contract);
        let draft = trader.draft_with(&winner.to_string(), &Performative::Inform, conversation, payload)?;
        trader.act(draft).await?;
        Ok(())
    }
}

impl Plan {
    fn new(seed: u64, rfp: &Rfp, is_first: bool) -> Self {
        let mut dice = Dice::new(seed, &["buyer", &rfp.id]);
        let target = rfp.budget.times(dice.between(0.60, 0.75));
        let push = dice.between(0.25, 0.70);
        let counters_max = if dice.happens(0.5) { 2 } else { 1 };
        let cut = dice.happens(CUT) && !is_first;
        let most = if cut { rfp.budget.times(dice.between(0.45, 0.62)) } else { rfp.budget };
        Self { target, most, counters_max, push }
    }
}
