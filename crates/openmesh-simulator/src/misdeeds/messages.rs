//! Misdeeds with single messages.

use crate::world::World;
use openmesh_message::limits::{JSON_KEYS_MAX, PAYLOAD_BYTES_MAX};
use openmesh_message::{Attributes, Digest, Draft, Envelope, Performative, PinnedName, Proof, Transit};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const TOPIC: &str = "topic:market/prices";

fn inform(world: &mut World, agent: usize, to: &str) -> Option<Draft> {
    let to = world.address(to)?;
    world.draft(agent, &to, &Performative::Inform)
}

fn rogue(world: &mut World) -> usize {
    let agent = world.anyone();
    agent.max(1)
}

fn with_json(world: &mut World, payload: Vec<u8>) -> Option<()> {
    let agent = rogue(world);
    let draft = inform(world, agent, TOPIC)?.json(payload);
    world.send_signed(agent, draft).map(|_| ())
}

fn with(world: &mut World, name: &str, value: &str) -> Option<()> {
    let agent = rogue(world);
    let draft = inform(world, agent, TOPIC)?.extension(name, value);
    world.send_signed(agent, draft).map(|_| ())
}

pub(super) fn too_large(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let draft = inform(world, agent, TOPIC)?.payload("text/plain", vec![b'x'; PAYLOAD_BYTES_MAX + 1]);
    world.send_signed(agent, draft).map(|_| ())
}

pub(super) fn too_many_keys(world: &mut World) -> Option<()> {
    let keys: Vec<_> = (0..=JSON_KEYS_MAX).map(|key| format!("\"{key}\":0")).collect();
    with_json(world, format!("{{{}}}", keys.join(",")).into_bytes())
}

pub(super) fn too_deep(world: &mut World) -> Option<()> {
    with_json(world, [vec![b'['; 70], vec![b']'; 70]].concat())
}

pub(super) fn duplicate_key(world: &mut World) -> Option<()> {
    with_json(world, b"{\"a\":1,\"a\":2}".to_vec())
}

pub(super) fn not_utf8(world: &mut World) -> Option<()> {
    with_json(world, vec![b'"', 0xff, b'"'])
}

pub(super) fn number_out_of_range(world: &mut World) -> Option<()> {
    with_json(world, b"{\"n\":9007199254740993}".to_vec())
}

pub(super) fn malformed_json(world: &mut World) -> Option<()> {
    with_json(world, b"{\"n\":".to_vec())
}

pub(super) fn missing_attribute(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let whole = inform(world, agent, TOPIC)?.unsigned(&world.id_of(agent)?).ok()?;
    let mut attributes = Attributes::default();
    for (name, value) in whole.attributes.iter().filter(|(name, _)| *name != "performative") {
        attributes.set(name, value).ok()?;
    }
    let envelope = sign(world, agent, attributes)?;
    world.send(agent, envelope);
    Some(())
}

fn sign(world: &World, agent: usize, attributes: Attributes) -> Option<Envelope> {
    let payload = Vec::new();
    let digest = attributes.digest(&payload);
    let proof = Some(Proof::sign(&world.agents.get(agent)?.key, &digest));
    Some(Envelope { attributes, payload: payload.into(), proof, transit: Transit::default() })
}

pub(super) fn malformed_attribute(world: &mut World) -> Option<()> {
    with(world, "priority", "loud")
}

pub(super) fn unsupported_attribute(world: &mut World) -> Option<()> {
    let name = *world.random.pick(&["budget", "delegation", "dataref"])?;
    with(world, name, "1")
}

pub(super) fn relative_address(world: &mut World) -> Option<()> {
    with(world, "replyto", "topic/market/prices")
}

pub(super) fn foreign_domain(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let mut to = world.address(TOPIC)?;
    to.domain = openmesh_message::DomainId::from_bytes([7; 32]);
    let draft = world.draft(agent, &to, &Performative::Inform)?;
    world.send_signed(agent, draft).map(|_| ())
}

pub(super) fn unknown_agent(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let draft = inform(world, agent, "inbox:nobody")?;
    world.send_signed(agent, draft).map(|_| ())
}

/// Says it is from another, without that other's signature.
pub(super) fn source_mismatch(world: &mut World) -> Option<()> {
    let (agent, other) = (rogue(world), world.id_of(0)?);
    let envelope = inform(world, agent, TOPIC)?.unsigned(&other).ok()?;
    world.send(agent, envelope);
    Some(())
}

/// Offers what another agent signed and sent.
pub(super) fn replayed(world: &mut World) -> Option<()> {
    let victim = world.anyone();
    let signed = world.agents.get(victim)?.remembered.iter().filter(|sent| sent.proof.is_some());
    let signed: Vec<_> = signed.cloned().collect();
    let envelope = world.random.pick(&signed)?.clone();
    let thief = (victim + 1) % 9;
    world.send(thief, envelope);
    Some(())
}

pub(super) fn unsigned_mail(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let draft = inform(world, agent, "inbox:worker")?;
    world.send_unsigned(agent, draft).map(|_| ())
}

pub(super) fn invalid_signature(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let draft = inform(world, agent, TOPIC)?;
    let mut envelope = draft.unsigned(&world.id_of(agent)?).ok()?;
    envelope.proof = Some(Proof::sign(&world.agents.get(agent)?.key, &Digest::ZERO));
    world.send(agent, envelope);
    Some(())
}

pub(super) fn foreign_key(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let draft = inform(world, agent, TOPIC)?;
    let mut envelope = draft.unsigned(&world.id_of(agent)?).ok()?;
    let digest = envelope.digest();
    envelope.proof = Some(Proof::sign(&world.agents.first()?.key, &digest));
    world.send(agent, envelope);
    Some(())
}

fn dated(world: &mut World, by_ms: i64) -> Option<()> {
    let agent = rogue(world);
    let to = world.address(TOPIC)?;
    let id = world.agents.get_mut(agent)?.message_id();
    let time = world.time.plus_ms(by_ms);
    let draft = Draft::new(id, time, &to, &Performative::Inform);
    world.send_signed(agent, draft).map(|_| ())
}

pub(super) fn time_ahead(world: &mut World) -> Option<()> {
    dated(world, 2 * DAY_MS)
}

pub(super) fn outside_window(world: &mut World) -> Option<()> {
    dated(world, -3 * DAY_MS)
}

/// More mail of one agent for another than some inboxes hold.
pub(super) fn many_from_one(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    for _ in 0..6 {
        let draft = inform(world, agent, "inbox:worker")?;
        world.send_signed(agent, draft)?;
    }
    Some(())
}

pub(super) fn expired(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let past = world.time.plus_ms(-2 * DAY_MS);
    let draft = inform(world, agent, TOPIC)?.expires(past);
    world.send_signed(agent, draft).map(|_| ())
}

/// Uses the id of a message it sent for another one.
pub(super) fn id_conflict(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let sent = world.agents.get(agent)?.remembered.clone();
    let id = world.random.pick(&sent)?.attributes.get("id")?.to_owned();
    let to = world.address("inbox:herald")?;
    let draft = Draft::new(id, world.time, &to, &Performative::Confirm);
    let envelope = draft.sign(&world.agents.get(agent)?.key).ok()?;
    world.send(agent, envelope);
    Some(())
}

/// Sends an old message once more: stored once, whatever happened in between.
pub(super) fn sent_twice(world: &mut World) -> Option<()> {
    for _ in 0..6 {
        let agent = world.anyone();
        let signed = world.agents.get(agent)?.remembered.iter().filter(|sent| sent.proof.is_some());
        let signed: Vec<_> = signed.cloned().collect();
        if let Some(envelope) = world.random.pick(&signed).cloned() {
            world.send(agent, envelope);
        }
    }
    Some(())
}

pub(super) fn unknown_schema(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let known = world.schema("market/proposal")?;
    let unknown = PinnedName { digest: Digest::of(b"no such schema"), ..known };
    let draft = inform(world, agent, TOPIC)?.schema(&unknown).json(b"{}".to_vec());
    world.send_signed(agent, draft).map(|_| ())
}

pub(super) fn invalid_payload(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let schema = world.schema("market/proposal")?;
    let draft = inform(world, agent, TOPIC)?.schema(&schema).json(b"{\"rfp\":1}".to_vec());
    world.send_signed(agent, draft).map(|_| ())
}

pub(super) fn as_a_stranger(world: &mut World) -> Option<()> {
    let stranger = world.stranger();
    let draft = inform(world, stranger, "inbox:buyer")?;
    world.send_signed(stranger, draft).map(|_| ())
}

pub(super) fn to_the_mesh(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let draft = inform(world, agent, "topic:$mesh/alerts")?;
    world.send_signed(agent, draft).map(|_| ())
}

pub(super) fn ephemeral_topic(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let draft = inform(world, agent, "topic:chat/room")?.ack_level("durable");
    world.send_signed(agent, draft).map(|_| ())
}

pub(super) fn agent_away(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    let away = (agent + 3) % 9;
    world.disconnect(away);
    let to = format!("agent:{}", world.id_of(away)?);
    let draft = inform(world, agent, &to)?;
    world.send_unsigned(agent, draft).map(|_| ())
}

pub(super) fn late_reply(world: &mut World) -> Option<()> {
    let late = world.time;
    let asked = world.asked.iter().find(|asked| asked.deadline < late)?.clone();
    world.answer(&asked, &Performative::Failure)
}

pub(super) fn duplicate_reply(world: &mut World) -> Option<()> {
    let open = world.time.plus_ms(40);
    let asked = world.asked.iter().find(|asked| asked.deadline > open)?.clone();
    for _ in 0..4 {
        world.answer(&asked, &Performative::Inform)?;
    }
    Some(())
}

/// More at once than the queue holds.
pub(super) fn burst(world: &mut World) -> Option<()> {
    let agent = rogue(world);
    for _ in 0..60 {
        let draft = inform(world, agent, "topic:chat/room")?;
        world.send_unsigned(agent, draft)?;
    }
    Some(())
}
