//! Everything that can happen to a partition.

use crate::admit::{Admitted, Refused};
use crate::record::Checkpoint;
use openmesh_message::frame::{Command, StreamAct};
use openmesh_message::{AgentId, Position, Signature};
use openmesh_policy::Policy;

/// The number of a connection, never used twice while the node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Where an answer goes: the connection and the tag its agent gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// The connection.
    pub connection: ConnectionId,
    /// The agent's tag.
    pub tag: u64,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// An agent proved its key.
    Connected {
        /// Its connection.
        connection: ConnectionId,
        /// The agent.
        agent: AgentId,
        /// Whether messages to the agent's own address are handed over on it; one that only asks receives none.
        receives: bool,
    },
    /// A connection ended.
    Disconnected {
        /// The connection.
        connection: ConnectionId,
    },
    /// A message passed admission.
    Message {
        /// Where its outcome goes.
        ticket: Ticket,
        /// The message.
        admitted: Box<Admitted>,
    },
    /// A message of a proven sender was refused at admission.
    Refused {
        /// Where its outcome goes.
        ticket: Ticket,
        /// What is known of it.
        refused: Box<Refused>,
    },
    /// An agent gave a command.
    Command {
        /// Where its reply goes.
        ticket: Ticket,
        /// The command.
        command: Box<Command>,
    },
    /// An agent said something of a stream.
    Stream {
        /// Its connection.
        connection: ConnectionId,
        /// What it said.
        act: StreamAct,
    },
    /// A policy was read from its file.
    PolicyLoaded {
        /// The policy.
        policy: Policy,
        /// Its text.
        text: String,
    },
    /// A checkpoint was written; the signature is the node's claim.
    Checkpoint {
        /// What it covers.
        checkpoint: Checkpoint,
        /// See [`Checkpoint::sign`].
        claim: Signature,
    },
    /// An administrator has the bodies of records erased, which were found to have one.
    Erase {
        /// Where the reply goes.
        ticket: Ticket,
        /// The administrator.
        agent: AgentId,
        /// The records.
        positions: Vec<Position>,
        /// Why.
        reason: String,
    },
    /// Bodies that were to be erased are gone from the log.
    BodiesErased {
        /// The records.
        seqs: Vec<u64>,
    },
    /// Time passed.
    Tick,
}
