//! Misdeeds with commands, and publishing, which some of them need.

use crate::world::World;
use openmesh_core::EntryState;
use openmesh_message::Digest;
use openmesh_message::frame::{Command, Retention, Start};

const SCHEMA: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}"#;
const PROTOCOL: &str = "
protocol: acme/greeting@v1.0.0
roles:
  initiator: {count: 1, binds: initiator}
  participant: {count: 1, binds: first-move}
machines:
  round:
    initial: start
    finals: {greeted: success, silent: timeout}
    states:
      start:
        moves:
          - {performative: inform, from: initiator, next: waiting}
      waiting:
        timer: {after: PT1M, next: silent}
        moves:
          - {performative: confirm, from: participant, next: greeted}
";

fn schema(name: &str, definition: &str) -> Command {
    Command::PublishSchema { name: name.to_owned(), definition: definition.to_owned() }
}

pub(super) fn name_taken(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    let command = Command::Register {
        name: "herald-again".to_owned(),
        token: Some(crate::world::ADMIN_TOKEN.to_owned()),
    };
    world.command(agent, command)
}

pub(super) fn wrong_token(world: &mut World) -> Option<()> {
    let command = Command::Register { name: "someone".to_owned(), token: Some("guessed".to_owned()) };
    world.command(world.stranger(), command)
}

pub(super) fn bad_definition(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    world.command(agent, schema("acme/broken@v1.0.0", "{\"type\":7}"))
}

pub(super) fn definition_conflict(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    world.command(agent, schema("acme/order@v1.0.0", SCHEMA))?;
    let other = SCHEMA.replace("object", "array");
    world.command(agent, schema("acme/order@v1.0.0", &other))
}

pub(super) fn publish_protocol(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    let definition = PROTOCOL.to_owned();
    world.command(agent, Command::PublishProtocol { definition })
}

pub(super) fn not_found(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    let name = "acme/nothing".to_owned();
    world.command(agent, Command::GetSchema { name })
}

pub(super) fn stale_lease(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    let numbers = vec![1, 2];
    world.command(agent, Command::Ack { token: 1_000_000, numbers: Vec::new() })?;
    // A token of an earlier lease of the same mail.
    world.command(agent, Command::Ack { token: 1, numbers })
}

/// Calls back mail that its recipient holds.
pub(super) fn recall_held(world: &mut World) -> Option<()> {
    for agent in 0..8 {
        let _ = world.recall(agent, |entry| matches!(entry.state, EntryState::Leased(..)) && !entry.is_act);
    }
    Some(())
}

/// Calls back an act, which took effect.
pub(super) fn recall_act(world: &mut World) -> Option<()> {
    for agent in 0..4 {
        let _ = world.recall(agent, |entry| entry.is_act);
    }
    Some(())
}

/// Calls back mail of somebody else.
pub(super) fn recall_foreign(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    let (recipient, number) = (world.id_of(6)?, 1 + world.random.below(9));
    let message = Digest::of(b"no message");
    world.command(agent, Command::Recall { recipient, number, message, id: "guessed".to_owned() })
}

pub(super) fn version_mismatch(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    let command = Command::SetTopic {
        topic: "topic:market/**".to_owned(),
        pinned: true,
        retention: Retention::UNLIMITED,
        expected_version: Some(u64::MAX),
        token: Some(crate::world::ADMIN_TOKEN.to_owned()),
    };
    world.command(agent, command)
}

pub(super) fn bad_argument(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    let command = Command::Subscribe { subscription: 99, pattern: "market".to_owned(), start: Start::Next };
    world.command(agent, command)
}

pub(super) fn too_many_subscriptions(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    for subscription in 10..16 {
        let command =
            Command::Subscribe { subscription, pattern: "topic:chat/side".to_owned(), start: Start::Next };
        world.command(agent, command)?;
    }
    Some(())
}

pub(super) fn too_many_tokens(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    for _ in 0..7 {
        let command = world.issue();
        world.command(agent, command)?;
    }
    Some(())
}

/// More leases waiting for mail than an agent may have.
pub(super) fn too_many_waiting(world: &mut World) -> Option<()> {
    let agent = world.anyone();
    for _ in 0..70 {
        let command = Command::Lease { messages_max: 1, visibility_ms: 1_000, wait_ms: 50_000, least: None };
        world.command(agent, command)?;
    }
    Some(())
}
