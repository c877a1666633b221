//! Requests that wait for a reply: at most one final reply from each responder, none after the deadline.

use openmesh_message::{AgentId, ControlAttributes, Performative, Target, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How long after its deadline a request is remembered, so that late replies are told so.
const REMEMBERED_MS: i64 = 60_000;
/// Requests remembered at a time; a further one is not, and its replies are then the asker's own to tell apart.
const REQUESTS_MAX: usize = 100_000;
/// Requests of one asker remembered at a time.
const REQUESTS_PER_ASKER_MAX: u32 = 1_000;
/// Longest deadline that a request is remembered for.
const DEADLINE_MS_MAX: i64 = 24 * 60 * 60 * 1000;

/// Requests by asker and message id. Not kept across restarts: the asker's own deadline holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    pending: BTreeMap<(AgentId, String), Pending>,
    by_deadline: BTreeSet<(Timestamp, AgentId, String)>,
    by_asker: BTreeMap<AgentId, u32>,
    /// Replies dropped because they came late.
    pub(crate) late_replies: u64,
}

#[derive(Clone, Debug)]
struct Pending {
    deadline: Timestamp,
    finished: BTreeSet<AgentId>,
}

/// What a reply is to the request it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyFit {
    /// It answers nothing that is waited for here.
    NoRequest,
    /// It is in time and the responder has not finished.
    Fits,
    /// It came after the deadline.
    Late,
    /// The responder gave its final reply before.
    Finished,
}

impl Requests {
    /// Remembers a request, if the message is one: it asks, and says until when.
    pub(crate) fn note(&mut self, control: &ControlAttributes, now: Timestamp) {
        let asks = matches!(
            control.performative,
            Performative::Request | Performative::QueryIf | Performative::QueryRef | Performative::Cfp
        );
        let Some(deadline) = control.reply_by.filter(|_| asks && !control.is_act()) else {
            return;
        };
        if matches!(control.to.target, Target::Conversation(_)) {
            return;
        }
        self.forget(now);
        let key = (control.source, control.id.to_string());
        // Sent again, it is the same request: replies it has had still count.
        let of_asker = self.by_asker.get(&control.source).copied().unwrap_or_default();
        let room = self.pending.len() < REQUESTS_MAX && of_asker < REQUESTS_PER_ASKER_MAX;
        if room && !self.pending.contains_key(&key) {
            let deadline = deadline.min(now.plus_ms(DEADLINE_MS_MAX));
            self.by_asker.insert(control.source, of_asker + 1);
            self.by_deadline.insert((deadline, key.0, key.1.clone()));
            self.pending.insert(key, Pending { deadline, finished: BTreeSet::new() });
        }
    }

    /// What the message is to the request it names.
    pub(crate) fn fit(&self, control: &ControlAttributes, to: &AgentId, now: Timestamp) -> ReplyFit {
        let Some(request) = control.in_reply_to.as_ref().filter(|_| !control.is_act()) else {
            return ReplyFit::NoRequest;
        };
        match self.pending.get(&(*to, request.clone())) {
            None => ReplyFit::NoRequest,
            Some(pending) if now > pending.deadline => ReplyFit::Late,
            Some(pending) if pending.finished.contains(&control.source) => ReplyFit::Finished,
            Some(_) => ReplyFit::Fits,
        }
    }

    /// Notes that a reply was taken in.
    pub(crate) fn answer(&mut self, control: &ControlAttributes, to: &AgentId) {
        let is_final = control.performative.is_final_reply() && !control.more;
        let Some(request) = control.in_reply_to.as_ref().filter(|_| is_final) else {
            return;
        };
        if let Some(pending) = self.pending.get_mut(&(*to, request.clone())) {
            pending.finished.insert(control.source);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let start = now.plus_ms(-REMEMBERED_MS);
        while self.by_deadline.first().is_some_and(|(deadline, ..)| *deadline < start) {
            let Some((_, asker, id)) = self.by_deadline.pop_first() else { return };
            self.pending.remove(&(asker, id));
            match self.by_asker.get_mut(&asker) {
                Some(count) if *count > 1 => *count -= 1,
                _ => _ = self.by_asker.remove(&asker),
            }
        }
    }
}
