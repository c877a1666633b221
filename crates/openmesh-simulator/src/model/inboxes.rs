//! Inboxes by hand: a list of mail for each agent, and five counts.

use crate::violation::{Violation, ensure};
use openmesh_core::record::{Header, Outcome, Put};
use openmesh_core::{EntryState, State};
use openmesh_message::{AgentId, ControlAttributes, Priority, Timestamp};
use std::collections::BTreeMap;

const LEASES: &str = "only free mail is leased, under a token that grows";
const TOKEN: &str = "only its token ends or extends a lease";
const SETTLED: &str = "mail ends in one recorded way, for a reason";
const RECALLED: &str = "only a sender calls back mail, and only mail that nobody holds";
const QUOTA: &str = "an inbox holds only so many messages of one sender";
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
    recalled: u64,
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
    sender: Option<AgentId>,
    is_act: bool,
}

impl Inboxes {
    pub(super) fn put(
        &mut self,
        (seq, at): (u64, Timestamp),
        put: &Put,
        control: Option<&ControlAttributes>,
        sender_messages_max: u64,
    ) -> Result<(), Violation> {
        let control = control.filter(|_| put.notice.is_none());
        let waits = control.and_then(|control| control.not_before).filter(|time| *time > at);
        let mail = Mail {
            seq,
            notice: put.notice,
            priority: control.map_or(Priority::Normal, |control| control.priority),
            expiry: control.and_then(|control| control.expiry),
            leases: 0,
            state: waits.map_or(EntryState::Ready, EntryState::Delayed),
            sender: control.map(|control| control.source),
            is_act: control.is_some_and(|control| control.is_act()),
        };
        let inbox = self.by_agent.entry(put.agent).or_default();
        inbox.put += 1;
        let of_sender = inbox.mail.values().filter(|other| other.sender == mail.sender).count() as u64;
        ensure(mail.sender.is_none() || of_sender < sender_messages_max, QUOTA, || format!("{put:?}"))?;
        ensure(inbox.mail.insert(put.number, mail).is_none(), "a number is given once", || format!("{put:?}"))
    }

    pub(super) fn feed(&mut self, header: &Header, deliveries_max: u32) -> Result<(), Violation> {
        let at = header.at;
        match &header.outcome {
            Outcome::Recalled { agent, number } => {
                let inbox = self.by_agent.entry(*agent).or_default();
                let mail = inbox.end(*number)?;
                let own = mail.sender.is_some() && mail.sender == header.sender && !mail.is_act;
                let free = !matches!(mail.state, EntryState::Leased(..));
                let alive = mail.expiry.is_none_or(|expiry| expiry > at);
                ensure(own && free && alive, RECALLED, || format!("{number}: {mail:?} at {at}"))?;
                inbox.recalled += 1;
                Ok(())
            }
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
            let ended = (counts.acknowledged, counts.expired, counts.dead_lettered, counts.recalled);
            let sums = (counts.accepted, ended);
            let expected = (inbox.put, (inbox.acknowledged, inbox.expired, inbox.dead, inbox.recalled));
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
                        sender: entry.sender,
                        is_act: entry.is_act,
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
