//! Inboxes by hand: a list of mail for each agent, and four counts.

use crate::violation::{Violation, ensure};
use openmesh_core::record::{Outcome, Put};
use openmesh_core::{EntryState, State};
use openmesh_message::{AgentId, ControlAttributes, Priority, Timestamp};
use std::collections::BTreeMap;

const LEASES: &str = "only free mail is leased, under a token that grows";
const TOKEN: &str = "only its token ends or extends a lease";
const SETTLED: &str = "mail ends in one recorded way, for a reason";
const EQUAL: &str = "an inbox is as the log says";

/// Every inbox.
#[derive(Default)]
pub(crate) struct Inboxes {
    by_agent: BTreeMap<AgentId, Hand>,
}

#[derive(Default)]
struct Hand {
    mail: BTreeMap<u64, Mail>,
    put: u64,
    acknowledged: u64,
    expired: u64,
    dead: u64,
    token: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Mail {
    seq: u64,
    notice: Option<u16>,
    priority: Priority,
    expiry: Option<Timestamp>,
    leases: u32,
    state: EntryState,
}

impl Inboxes {
    pub(super) fn put(
        &mut self,
        seq: u64,
        put: &Put,
        control: Option<&ControlAttributes>,
    ) -> Result<(), Violation> {
        let control = control.filter(|_| put.notice.is_none());
        let mail = Mail {
            seq,
            notice: put.notice,
            priority: control.map_or(Priority::Normal, |control| control.priority),
            expiry: control.and_then(|control| control.expiry),
            leases: 0,
            state: EntryState::Ready,
        };
        let inbox = self.by_agent.entry(put.agent).or_default();
        inbox.put += 1;
        ensure(inbox.mail.insert(put.number, mail).is_none(), "a number is given once", || format!("{put:?}"))
    }

    pub(super) fn feed(
        &mut self,
        at: Timestamp,
        outcome: &Outcome,
        deliveries_max: u32,
    ) -> Result<(), Violation> {
        match outcome {
            Outcome::Leased { agent, token, until, numbers } => {
                self.by_agent.entry(*agent).or_default().lease(*token, *until, numbers)
            }
            Outcome::Extended { agent, token, until } => {
                self.by_agent.entry(*agent).or_default().extend(*token, *until)
            }
            Outcome::Settled { agent, settlement } => {
                let inbox = self.by_agent.entry(*agent).or_default();
                for number in &settlement.acknowledged {
                    let mail = inbox.end(*number)?;
                    let held = matches!(mail.state, EntryState::Leased(_, until) if until > at);
                    ensure(held, TOKEN, || format!("{number} was acknowledged: {mail:?} at {at}"))?;
                    inbox.acknowledged += 1;
                }
                for number in &settlement.expired {
                    let mail = inbox.end(*number)?;
                    ensure(mail.expiry.is_some_and(|expiry| expiry <= at), SETTLED, || {
                        format!("{number} expired: {mail:?}")
                    })?;
                    inbox.expired += 1;
                }
                for number in &settlement.dead_lettered {
                    let mail = inbox.end(*number)?;
                    ensure(mail.leases >= deliveries_max, SETTLED, || format!("{number} is dead: {mail:?}"))?;
                    inbox.dead += 1;
                }
                for (number, until) in &settlement.returned {
                    let mail = inbox.mail.get_mut(number).ok_or_else(|| missing(*number))?;
                    mail.state = if *until > at { EntryState::Delayed(*until) } else { EntryState::Ready };
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let mail = self.by_agent.values().flat_map(|inbox| inbox.mail.values());
        let times = mail.flat_map(|mail| {
            let state = match mail.state {
                EntryState::Ready => None,
                EntryState::Delayed(until) | EntryState::Leased(_, until) => Some(until),
            };
            [mail.expiry, state]
        });
        times.flatten().min()
    }

    pub(super) fn compare(&self, state: &State) -> Result<(), Violation> {
        let core: BTreeMap<_, _> = state.inboxes().collect();
        let ours: Vec<_> = self.by_agent.keys().collect();
        ensure(core.keys().copied().eq(ours), EQUAL, || "other agents have inboxes".to_owned())?;
        for (agent, inbox) in &self.by_agent {
            let Some(core) = core.get(agent) else {
                continue;
            };
            let counts = core.counts();
            let sums = (counts.accepted, counts.acknowledged, counts.expired, counts.dead_lettered);
            let expected = (inbox.put, inbox.acknowledged, inbox.expired, inbox.dead);
            ensure(sums == expected, EQUAL, || format!("{agent}: {sums:?}, in the log {expected:?}"))?;
            let conserved = counts.is_conserved() && counts.pending == inbox.mail.len() as u64;
            ensure(conserved, "an inbox's sum holds", || format!("{agent}: {counts:?}"))?;
            ensure(core.last_token() == inbox.token, EQUAL, || format!("{agent}: the last token"))?;
            let entries: BTreeMap<u64, Mail> = core
                .entries()
                .map(|(number, entry)| {
                    let mail = Mail {
                        seq: entry.seq,
                        notice: entry.notice,
                        priority: entry.priority,
                        expiry: entry.expiry,
                        leases: entry.attempts,
                        state: entry.state,
                    };
                    (number, mail)
                })
                .collect();
            ensure(entries == inbox.mail, EQUAL, || {
                format!("{agent}: {entries:?}, in the log {:?}", inbox.mail)
            })?;
        }
        Ok(())
    }
}

impl Hand {
    fn lease(&mut self, token: u64, until: Timestamp, numbers: &[u64]) -> Result<(), Violation> {
        ensure(token == self.token + 1, LEASES, || format!("token {token} after {}", self.token))?;
        self.token = token;
        for number in numbers {
            let mail = self.mail.get_mut(number).ok_or_else(|| missing(*number))?;
            ensure(mail.state == EntryState::Ready, LEASES, || format!("{number}: {mail:?}"))?;
            mail.leases += 1;
            mail.state = EntryState::Leased(token, until);
        }
        Ok(())
    }

    fn extend(&mut self, token: u64, until: Timestamp) -> Result<(), Violation> {
        let mut count = 0;
        for mail in self.mail.values_mut() {
            if matches!(mail.state, EntryState::Leased(held, _) if held == token) {
                mail.state = EntryState::Leased(token, until);
                count += 1;
            }
        }
        ensure(count > 0, TOKEN, || format!("token {token} holds nothing"))
    }

    fn end(&mut self, number: u64) -> Result<Mail, Violation> {
        self.mail.remove(&number).ok_or_else(|| missing(number))
    }
}

fn missing(number: u64) -> Violation {
    Violation::new(SETTLED, format!("there is no mail {number}"))
}
