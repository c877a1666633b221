//! Giving numbers in logical logs, and the names of the logs of inboxes beside them.

use super::planted::{self, Planted};
use crate::state::{Logical, State};
use openmesh_message::{AgentId, LogName, LogSeq};

/// Agents whose inboxes' names are known: each has one place among these, and whoever comes to it takes it.
const KNOWN_MAX: usize = 4_096;

/// Gives numbers in logical logs to one record, which may stand in one log more than once.
pub(crate) struct Numbering<'a> {
    state: &'a State,
    given: Vec<(Logical, u64)>,
}

impl<'a> Numbering<'a> {
    pub(crate) const fn new(state: &'a State) -> Self {
        Self { state, given: Vec::new() }
    }

    /// The next number of a log.
    pub(crate) fn next(&mut self, log: Logical) -> u64 {
        let given = self.given.iter().rev().find(|(given, _)| *given == log);
        let seq = given.map_or_else(|| self.state.next_number(&log), |(_, given)| given + 1);
        let seq = seq - u64::from(planted::has(Planted::RepeatNumber) && seq > 3);
        self.given.push((log, seq));
        seq
    }

    pub(crate) fn finish(self, names: &mut InboxNames) -> Vec<LogSeq> {
        let numbered = |(log, seq)| match log {
            Logical::Inbox(agent) => LogSeq { log: names.of(agent), seq },
            other => other.at(seq),
        };
        self.given.into_iter().map(numbered).collect()
    }
}

/// The names of agents' inboxes that were asked for lately: the text of an id takes longer to make than all else of a number.
#[derive(Debug, Default)]
pub(crate) struct InboxNames {
    known: Vec<Option<(AgentId, LogName)>>,
}

impl InboxNames {
    /// The name of the log of an agent's inbox.
    pub(crate) fn of(&mut self, agent: AgentId) -> LogName {
        if self.known.is_empty() {
            self.known.resize(KNOWN_MAX, None);
        }
        let make = || Logical::Inbox(agent).name();
        let Some(place) = self.known.get_mut(place_of(&agent)) else { return make() };
        match place {
            Some((known, name)) if *known == agent => name.clone(),
            _ => place.insert((agent, make())).1.clone(),
        }
    }
}

fn place_of(agent: &AgentId) -> usize {
    let [first, second, ..] = *agent.public_key();
    usize::from(u16::from_be_bytes([first, second])) % KNOWN_MAX
}

#[cfg(test)]
mod tests {
    use super::{InboxNames, KNOWN_MAX};
    use crate::state::Logical;
    use openmesh_message::AgentId;

    #[test]
    fn each_agent_has_its_own_name_whoever_shares_its_place() {
        let mut names = InboxNames::default();
        let agent = |place: u16, rest| {
            let mut key = [rest; 32];
            key[..2].copy_from_slice(&place.to_be_bytes());
            AgentId::from_kept(key)
        };
        for round in 0..3 {
            for place in [0, 1, KNOWN_MAX as u16 - 1, KNOWN_MAX as u16, u16::MAX] {
                for rest in [round, 7, 7, 8] {
                    let agent = agent(place, rest);
                    assert_eq!(names.of(agent), Logical::Inbox(agent).name());
                }
            }
        }
        assert_eq!(names.known.len(), KNOWN_MAX);
    }
}
