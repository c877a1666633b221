//! What is asked of a connection's messages before anything of them is looked at closely: whether the node is to shed them, and
//! whether their agent has anything left of its quota.

use crate::admission::Admission;
use openmesh_adapter::quota::{cost_of, cost_of_command, cost_of_run};
use openmesh_adapter::{Batch, Class, Load, MeshHandle, Outbox, Outgoing, Purse, Quotas, Shedding};
use openmesh_core::admit::Familiar;
use openmesh_core::{Identity, Standing, View};
use openmesh_message::frame::{Command, SendOutcome, Sent};
use openmesh_message::{AgentId, Problem};
use std::sync::Arc;
use std::time::Instant;

/// One connection's toll.
pub(crate) struct Toll {
    agent: AgentId,
    load: Arc<Load>,
    quotas: Arc<Quotas>,
    purse: Purse,
    shedding: Shedding,
    /// What the agent is, by this view.
    standing: Option<(Identity, Standing)>,
}

impl Toll {
    /// For a connection of an agent.
    pub(crate) fn of(agent: AgentId, mesh: &MeshHandle) -> Self {
        let (load, quotas) = (Arc::clone(mesh.load()), Arc::clone(mesh.quotas()));
        let purse = quotas.purse(agent);
        Self { agent, load, quotas, purse, shedding: Shedding::default(), standing: None }
    }

    /// Takes those out of the messages that are not let in, and gives what is said of them. Where nothing is shed and the
    /// agent has no quota, that costs next to nothing.
    pub(crate) fn turn_away(
        &mut self,
        sent: &mut Sent,
        admission: &Admission,
        familiar: &mut Familiar,
        outbox: &Outbox,
    ) -> Batch {
        let view = admission.view();
        let standing = self.standing_by(view);
        let pays = self.quotas.apply_to(standing);
        if self.load.is_light() && !pays {
            return Batch::new();
        }
        let at = Instant::now();
        self.load.look(at);
        if pays {
            self.purse.owe(outbox.take_owed());
        }
        let mut refused = Batch::new();
        let with = |problem: &Problem, tag| Outgoing::Outcome(tag, SendOutcome::Rejected(problem.clone()));
        for (first, run) in std::mem::take(&mut sent.runs) {
            let alike = run.envelope(0);
            let is_kept = alike.is_some_and(|envelope| familiar.would_keep(&envelope, view));
            match self.let_in((run.len(), cost_of_run(&run)), (standing, is_kept), at) {
                Ok(()) => sent.runs.push_back((first, run)),
                Err(problem) => {
                    refused.extend((first..).take(run.len()).map(|tag| with(&problem, tag)));
                }
            }
        }
        for (tag, envelope) in std::mem::take(&mut sent.messages) {
            let is_kept = familiar.would_keep(&envelope, view);
            match self.let_in((1, cost_of(&envelope, is_kept)), (standing, is_kept), at) {
                Ok(()) => sent.messages.push((tag, envelope)),
                Err(problem) => refused.push(with(&problem, tag)),
            }
        }
        refused
    }

    fn let_in(
        &mut self,
        (messages, cost): (usize, i64),
        (standing, is_kept): (Standing, bool),
        at: Instant,
    ) -> Result<(), Box<Problem>> {
        if let Some(class) = Class::of(standing, is_kept)
            && let Some(problem) = self.shedding.sheds(class, messages, &self.load)
        {
            return Err(Box::new(problem));
        }
        self.purse.pay(cost, standing, at)
    }

    /// Whether a command is let in: a question that is beyond the agent's quota is not; what ends work or undoes it always is.
    pub(crate) fn let_command_in(
        &mut self,
        command: &Command,
        mesh: &MeshHandle,
    ) -> Result<(), Box<Problem>> {
        let cost = cost_of_command(command);
        if cost == 0 {
            return Ok(());
        }
        let standing = self.standing_by(&mesh.view());
        self.purse.pay(cost, standing, Instant::now())
    }

    fn standing_by(&mut self, view: &View) -> Standing {
        match &self.standing {
            Some((known, standing)) if known == view.identity() => *standing,
            _ => {
                let standing = view.standing(&self.agent);
                self.standing = Some((view.identity().clone(), standing));
                standing
            }
        }
    }
}
