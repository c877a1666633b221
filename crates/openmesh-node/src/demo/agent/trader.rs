//! What buyer and sellers have in common: names, definitions, and sends that are counted and timed.

use super::post::tell;
use crate::demo::cue::{News, Tally};
use anyhow::{Context, Result, bail};
use openmesh_message::{ConversationId, Digest, PinnedName};
use openmesh_sdk::{AgentId, Draft, Envelope, Mesh, Performative, Problem, Sent, canonical_json, parse_json};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Instant;

/// An agent that trades.
pub(super) struct Trader {
    pub(super) mesh: Mesh,
    pub(super) name: String,
    pub(super) tally: Tally,
    pub(super) protocol: PinnedName,
    pub(super) rfp: PinnedName,
    pub(super) proposal: PinnedName,
    pub(super) contract: PinnedName,
}

/// What an agent needs to know of an act it received.
pub(super) struct ActRead {
    pub(super) conversation: ConversationId,
    pub(super) performative: String,
    pub(super) sender: AgentId,
    pub(super) digest: Digest,
}

/// What a notice of the node says.
pub(super) struct NoticeRead {
    pub(super) conversation: ConversationId,
    pub(super) machine: String,
    pub(super) to: String,
    pub(super) outcome: Option<String>,
}

impl Trader {
    pub(super) async fn new(mesh: Mesh, name: String) -> Result<Self> {
        let protocol = mesh.get_protocol("market/negotiation@^1").await?.name;
        let rfp = mesh.get_schema("market/rfp@^1").await?.name;
        let proposal = mesh.get_schema("market/proposal@^1").await?.name;
        let contract = mesh.get_schema("market/contract@^2").await?.name;
        Ok(Self { mesh, name, tally: Tally::default(), protocol, rfp, proposal, contract })
    }

    /// The agents of the domain, by name.
    pub(super) async fn agents(&self) -> Result<BTreeMap<String, AgentId>> {
        let mut agents = BTreeMap::new();
        for row in self.mesh.agents().await? {
            let text = |key: &str| row.get(key).and_then(Value::as_str);
            if let Some((id, name)) = text("agent").zip(text("name")) {
                agents.insert(name.to_owned(), id.parse()?);
            }
        }
        Ok(agents)
    }

    /// An act of a conversation in the making.
    pub(super) fn draft(&self, to: &str, act: &Performative, conversation: &ConversationId) -> Result<Draft> {
        Ok(self.mesh.draft(to, act)?.conversation(&self.protocol, conversation))
    }

    /// An act with a payload in the making.
    pub(super) fn draft_with(
        &self,
        to: &str,
        act: &Performative,
        conversation: &ConversationId,
        payload: (&PinnedName, &Value),
    ) -> Result<Draft> {
        let (schema, value) = payload;
        Ok(self.draft(to, act, conversation)?.schema(schema).json(canonical_json(value)?))
    }

    /// Signs and sends an act that must be legal; returns its digest.
    pub(super) async fn act(&mut self, draft: Draft) -> Result<Digest> {
        let envelope = self.mesh.sign(draft)?;
        let digest = envelope.digest();
        let act = envelope.attributes.get("performative").unwrap_or_default().to_owned();
        if let Some(problem) = self.send(envelope).await? {
            let deed = format!("an honest {act}");
            self.tell_refused(&deed, &problem)?;
            bail!("{}: {deed} was refused: {}: {}", self.name, problem.code, problem.detail);
        }
        Ok(digest)
    }

    /// Sends a message, counts and times it; returns the problem if it is refused.
    pub(super) async fn send(&mut self, envelope: Envelope) -> Result<Option<Problem>> {
        let started = Instant::now();
        let sent = self.mesh.send(envelope).await?;
        self.count(sent, started)
    }

    /// Counts how a message that was handed over at `started` ended.
    pub(super) fn count(&mut self, sent: Sent, started: Instant) -> Result<Option<Problem>> {
        match sent {
            Sent::Accepted(_) => {
                self.tally.accepted += 1;
                self.tally.latencies_us.push(u64::try_from(started.elapsed().as_micros())?);
                Ok(None)
            }
            Sent::Rejected(problem) => {
                *self.tally.refused.entry(problem.code.clone()).or_default() += 1;
                Ok(Some(problem))
            }
            Sent::Passed => bail!("the node kept no record of an act"),
            Sent::Unknown => bail!("nobody can say whether an act was taken in"),
        }
    }

    pub(super) fn tell_refused(&self, deed: &str, problem: &Problem) -> Result<()> {
        tell(&News::Refused {
            deed: deed.to_owned(),
            code: problem.code.clone(),
            detail: problem.detail.clone(),
            allowed_next: problem.allowed_next.iter().map(|next| next.performative.clone()).collect(),
        })
    }
}

/// Reads an act; `None` for anything else.
pub(super) fn read_act(envelope: &Envelope) -> Option<ActRead> {
    let attribute = |name: &str| envelope.attributes.get(name);
    Some(ActRead {
        conversation: attribute("conversationid")?.parse().ok()?,
        performative: attribute("performative")?.to_owned(),
        sender: attribute("source")?.parse().ok()?,
        digest: envelope.digest(),
    })
}

/// Reads a notice of the node; `None` for anything else.
pub(super) fn read_notice(envelope: &Envelope) -> Option<NoticeRead> {
    if envelope.attributes.get("type") != Some("mesh/notice.v1") {
        return None;
    }
    let payload: Value = parse_json(envelope).ok()?;
    let text = |key: &str| payload.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(NoticeRead {
        conversation: text("conversation")?.parse().ok()?,
        machine: text("machine")?,
        to: text("to")?,
        outcome: text("outcome"),
    })
}

/// The amount of a payload's `value`.
pub(super) fn read_price(envelope: &Envelope) -> Result<crate::demo::price::Price> {
    let payload: Value = parse_json(envelope)?;
    let amount = payload.pointer("/value/amount").and_then(Value::as_f64);
    let price = amount.and_then(crate::demo::price::Price::from_amount);
    price.context("an offer without a price passed the node")
}
