//! A partition and its log, driven as a node drives them.

use anyhow::{Context, Result, bail};
use openmesh_core::record::Record;
use openmesh_core::{Admitted, Config, ConnectionId, Effect, Input, Partition, Plan, Ticket, View};
use openmesh_message::frame::{Command, Reply};
use openmesh_message::{AgentId, Authority, Custodian, Digest, DomainId, PartitionId, PinnedName, Timestamp};
use openmesh_policy::Policy;
use openmesh_store::{EmbeddedLog, EncodedRecord, LogConfig, batch_bytes};
use std::path::Path;

/// Records of one write and one sync.
const BATCH_RECORDS: usize = 4_096;

/// An open log, and the partition that it leads to.
pub(super) struct Filler {
    log: EmbeddedLog,
    partition: Partition,
    pending: Vec<EncodedRecord>,
    connections: u64,
}

impl Filler {
    pub(super) fn open(folder: &Path, domain: DomainId) -> Result<Self> {
        let rules = std::fs::read_to_string(folder.join("policy.toml"))?;
        let policy = Policy::parse(&rules, Authority::Domain(domain))?;
        let (log, opened) = EmbeddedLog::open(&folder.join("log"), &LogConfig::new(PartitionId(0)))?;
        if opened.unclean {
            bail!("the node that owns {} was not stopped cleanly", folder.display());
        }
        let mut salt_seed = [0; 32];
        getrandom::fill(&mut salt_seed)?;
        let config = Config::new(domain, Digest::ZERO, salt_seed, Custodian::new([0; 32]));
        let snapshot = opened.snapshot.context("a node that was stopped leaves a snapshot")?;
        let mut partition = Partition::restore(config, policy, &snapshot.state)?;
        for stored in log.reader().records(snapshot.position.seq + 1) {
            let stored = stored?;
            partition.recover(&Record::decode(&stored.header, &stored.salt, &stored.body)?);
        }
        Ok(Self { log, partition, pending: Vec::new(), connections: 0 })
    }

    pub(super) fn view(&self) -> View {
        self.partition.view()
    }

    /// The protocol of this name that is in force.
    pub(super) fn protocol(&self, name: &str) -> Option<PinnedName> {
        let catalog = self.view().catalog;
        let mut pinned = catalog.protocols().map(|protocol| protocol.pinned().clone());
        pinned.find(|pinned| pinned.to_string().contains(name))
    }

    /// Registers an agent under a name.
    pub(super) fn register(&mut self, agent: AgentId, name: &str, at: Timestamp) -> Result<()> {
        self.on_connection(agent, at, |filler, connection| {
            let register = Command::Register { name: name.to_owned(), token: None };
            filler.command(connection, register, at).map(drop)
        })
    }

    /// Does something on a connection of an agent's own.
    pub(super) fn on_connection(
        &mut self,
        agent: AgentId,
        at: Timestamp,
        work: impl FnOnce(&mut Self, ConnectionId) -> Result<()>,
    ) -> Result<()> {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.handle(Input::Connected { connection, agent, receives: false }, at)?;
        work(self, connection)?;
        self.handle(Input::Disconnected { connection }, at).map(drop)
    }

    /// Gives a command; what it replies, and the token of what it leased.
    pub(super) fn command(
        &mut self,
        connection: ConnectionId,
        command: Command,
        at: Timestamp,
    ) -> Result<Option<u64>> {
        let ticket = Ticket { connection, tag: 1 };
        let effects = self.handle(Input::Command { ticket, command: Box::new(command) }, at)?;
        for effect in effects {
            match effect {
                Effect::Reply(_, Ok(Reply::Leased(_))) => bail!("there was nothing to lease"),
                Effect::Reply(_, Err(rejection)) => bail!("a command was refused: {rejection:?}"),
                Effect::Lease { token, .. } => return Ok(Some(token)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Takes an admitted message.
    pub(super) fn take(&mut self, agent: AgentId, admitted: Admitted, at: Timestamp) -> Result<()> {
        // Agents answer nothing here, so one connection stands for all.
        let ticket = Ticket { connection: ConnectionId(0), tag: 1 };
        let effects = self.handle(Input::Message { ticket, admitted: Box::new(admitted) }, at)?;
        for effect in effects {
            if let Effect::Reject(_, rejection) = effect {
                bail!("a message of {agent} was refused: {rejection:?}");
            }
        }
        Ok(())
    }

    /// Writes everything, and closes the log as a node does that is stopped, or leaves it as a crash does.
    pub(super) fn end(mut self, cleanly: bool) -> Result<u64> {
        self.write()?;
        let records = self.partition.next_seq().saturating_sub(1);
        if cleanly {
            let head = self.partition.state().head().context("an empty log")?;
            self.log.write_snapshot(head, &self.partition.snapshot()?)?;
            self.log.close()?;
        }
        Ok(records)
    }

    fn handle(&mut self, input: Input, at: Timestamp) -> Result<Vec<Effect>> {
        let Plan { records, effects, .. } = self.partition.handle(input, at);
        self.pending.extend(records.into_iter().map(|sealed| EncodedRecord {
            position: sealed.position,
            header: sealed.header,
            salt: sealed.salt,
            body: sealed.body,
        }));
        if self.pending.len() >= BATCH_RECORDS {
            self.write()?;
        }
        Ok(effects)
    }

    fn write(&mut self) -> Result<()> {
        let bytes = self.pending.iter().map(|record| (record.header.len() + record.body.len()) as u64).sum();
        self.log.reserve(batch_bytes(self.pending.len(), bytes))?;
        self.log.append(&self.pending)?;
        self.log.sync()?;
        self.pending.clear();
        Ok(())
    }
}
