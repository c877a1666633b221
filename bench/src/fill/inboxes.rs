//! Agents with an idle inbox, and as many without: what differs between the two is what an idle inbox costs.

use super::filler::Filler;
use super::{Options, What};
use crate::generate::now;
use anyhow::{Context, Result};
use openmesh_core::admit::{Familiar, admit};
use openmesh_message::frame::Command;
use openmesh_message::limits::PROOF_BATCH_MAX;
use openmesh_message::{
    Address, AgentId, AgentRef, Digest, DomainId, Draft, Envelope, KeyPair, Performative, Proof, Target,
    Timestamp,
};
use std::time::Instant;

const SENDER_SEED: [u8; 32] = [8; 32];
const TOPIC: &str = "bench/mailed";
const VISIBILITY_MS: u64 = 60_000;

/// Registers so many agents; each has a message put into its inbox, leased and acknowledged, or, without mail, one
/// message goes to a topic, so that both logs remember as many ids. Tells how many there are.
pub(super) fn fill(filler: &mut Filler, options: &Options) -> Result<u64> {
    let (domain, mail) = (options.domain, options.what == What::Inboxes);
    let begun = Instant::now();
    let mut made = 0;
    let at = now()?;
    let sender = KeyPair::from_seed(&SENDER_SEED)?;
    filler.register(sender.id(), "sender", at)?;
    let mut familiar = Familiar::default();
    let indexes: Vec<u64> = (0..options.count).collect();
    for chunk in indexes.chunks(PROOF_BATCH_MAX) {
        if begun.elapsed().as_secs() >= options.seconds {
            break;
        }
        let agents = chunk.iter().map(|index| agent(*index)).collect::<Result<Vec<_>>>()?;
        for (index, agent) in chunk.iter().zip(&agents) {
            filler.register(*agent, &format!("agent-{index}"), at)?;
        }
        let view = filler.view();
        let to = |agent: &AgentId| match mail {
            true => Ok(Target::Inbox(AgentRef::Id(*agent))),
            false => TOPIC.parse().map(Target::Topic),
        };
        let targets = agents.iter().map(to).collect::<Result<Vec<_>, _>>()?;
        for (envelope, agent) in signed(&sender, domain, chunk, (targets, at))?.into_iter().zip(&agents) {
            let admitted = admit(envelope, sender.id(), &view, &mut familiar, at);
            let admitted = admitted.map_err(|refused| anyhow::anyhow!("refused: {:?}", refused.rejection))?;
            filler.take(sender.id(), admitted, at)?;
            if mail {
                work_off(filler, *agent, at)?;
            }
        }
        made += chunk.len() as u64;
    }
    Ok(made)
}

/// Leases what is in the inbox and acknowledges it.
fn work_off(filler: &mut Filler, agent: AgentId, at: Timestamp) -> Result<()> {
    filler.on_connection(agent, at, |filler, connection| {
        let lease = Command::Lease { messages_max: 1, visibility_ms: VISIBILITY_MS, wait_ms: 0, least: None };
        let token = filler.command(connection, lease, at)?.context("nothing was leased")?;
        filler.command(connection, Command::Ack { token, numbers: Vec::new() }, at).map(drop)
    })
}

fn agent(index: u64) -> Result<AgentId> {
    let seed = Digest::of(format!("bench agent {index}").as_bytes());
    Ok(KeyPair::from_seed(seed.as_bytes())?.id())
}

fn signed(
    key: &KeyPair,
    domain: DomainId,
    indexes: &[u64],
    (targets, at): (Vec<Target>, Timestamp),
) -> Result<Vec<Envelope>> {
    let drafts = indexes.iter().zip(targets).map(|(index, target)| {
        let draft =
            Draft::new(format!("mail-{index}"), at, &Address::new(domain, target), &Performative::Inform);
        draft.payload("application/octet-stream", vec![b'x'; 64]).unsigned(&key.id())
    });
    let mut envelopes = drafts.collect::<Result<Vec<_>, _>>()?;
    let digests: Vec<_> = envelopes.iter().map(Envelope::digest).collect();
    for (envelope, proof) in envelopes.iter_mut().zip(Proof::sign_batch(key, &digests)) {
        envelope.proof = Some(proof);
    }
    Ok(envelopes)
}
