//! A conversation with as many members as there may be, and some who come too late.

use crate::agent::Agent;
use crate::violation::Violation;
use crate::world::World;
use openmesh_message::{Address, AgentRef, ConversationId, Performative, Target};

/// Members that the protocol engine takes, the opener included.
const MEMBERS_MAX: usize = 1_024;
const LATE: usize = 25;
/// Inputs for one turn; fewer than the queue holds.
const AT_A_TIME: usize = 16;

/// Fills one conversation of `fipa/contract-net` to the brim, and then some.
pub(crate) fn gather(world: &mut World) -> Result<(), Violation> {
    let first = world.agents.len();
    for number in 0..MEMBERS_MAX - 1 + LATE {
        let agent = Agent::new(&format!("crowd-{number}"), world.seed)
            .map_err(|error| Violation::new("the simulator can begin", error.to_string()))?;
        world.agents.push(agent);
    }
    let crowd: Vec<usize> = (first..world.agents.len()).collect();
    for some in crowd.chunks(AT_A_TIME) {
        for agent in some {
            world.connect(*agent);
        }
        world.turn(None)?;
        for agent in some {
            world.register(*agent)?;
        }
    }
    let id = ConversationId::from_bytes(world.random.bytes());
    if call(world, id).is_none() {
        return Ok(());
    }
    world.turn(None)?;
    for some in crowd.chunks(AT_A_TIME) {
        for agent in some {
            decline(world, *agent, id);
        }
        world.turn(None)?;
    }
    for agent in crowd {
        world.disconnect(agent);
    }
    world.turn(None)?;
    world.agents.truncate(first);
    Ok(())
}

fn call(world: &mut World, id: ConversationId) -> Option<()> {
    let protocol = world.protocol("fipa/contract-net")?;
    let to = Address::new(world.domain, Target::Conversation(id));
    let draft = world.draft(0, &to, &Performative::Cfp)?;
    world.offer_now(0, draft.conversation(protocol.pinned(), &id))
}

fn decline(world: &mut World, agent: usize, id: ConversationId) -> Option<()> {
    let protocol = world.protocol("fipa/contract-net")?;
    let opener = Target::Agent(AgentRef::Id(world.id_of(0)?));
    let to = Address::new(world.domain, opener);
    let draft = world.draft(agent, &to, &Performative::Refuse)?;
    world.offer_now(agent, draft.conversation(protocol.pinned(), &id))
}
