//! How much of the node's time an agent may take: an account an agent, from which its connections lease portions.
//!
//! A connection pays from its portion and asks the account for the next when it is spent: see decision 0054.

use crate::metrics::QUOTA_REFUSED;
use metrics::counter;
use openmesh_core::Standing;
use openmesh_message::frame::{Command, Run};
use openmesh_message::{AgentId, Envelope, Problem, Proof};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What a message costs whatever it is. Ten units are about a microsecond of a core.
pub const MESSAGE_COST: i64 = 10;
/// What so many bytes of it cost.
pub const BYTES_COST: (usize, i64) = (256, 1);
/// What its own signature costs to verify.
pub const SIGNATURE_COST: i64 = 400;
/// What its place in a signed batch costs to verify.
pub const BATCH_PROOF_COST: i64 = 20;
/// What it costs to keep it.
pub const KEEPING_COST: i64 = 60;
/// What each subscription that it goes to, besides the first, costs.
pub const FAN_OUT_COST: i64 = 5;
/// What a question costs.
pub const QUESTION_COST: i64 = 500;

/// So many portions are a second's rate.
const PORTIONS_A_SECOND: i64 = 100;
/// An account holds what comes in so long.
const HELD_S: i64 = 1;
const RETRY_AFTER_MS: std::ops::RangeInclusive<u64> = 10..=60_000;
/// Accounts that nobody uses are let go of when so many were made.
const SWEEP_AFTER: usize = 1_024;

/// Units of cost a second that an agent may take; `None`: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// An agent that is not registered.
    pub stranger: Option<u32>,
    /// A registered agent.
    pub registered: Option<u32>,
}

/// The accounts of all agents that are connected.
#[derive(Debug)]
pub struct Quotas {
    rates: Rates,
    begun: Instant,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    of: BTreeMap<AgentId, Weak<Account>>,
    made: usize,
}

/// What an agent has left.
#[derive(Debug)]
struct Account {
    left: AtomicI64,
    filled_us: AtomicU64,
}

/// One connection's portion.
#[derive(Debug)]
pub struct Purse {
    quotas: Arc<Quotas>,
    account: Arc<Account>,
    left: i64,
}

impl Quotas {
    /// Quotas of these rates.
    pub fn new(rates: Rates) -> Self {
        Self { rates, begun: Instant::now(), accounts: Mutex::default() }
    }

    /// A connection's purse, empty.
    pub fn purse(self: &Arc<Self>, agent: AgentId) -> Purse {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.made >= SWEEP_AFTER {
            accounts.made = 0;
            accounts.of.retain(|_, account| account.strong_count() > 0);
        }
        let known = accounts.of.get(&agent).and_then(Weak::upgrade);
        let account = known.unwrap_or_else(|| {
            let account = Arc::new(Account { left: AtomicI64::new(0), filled_us: AtomicU64::new(0) });
            accounts.of.insert(agent, Arc::downgrade(&account));
            accounts.made += 1;
            account
        });
        drop(accounts);
        Purse { quotas: Arc::clone(self), account, left: 0 }
    }

    /// Whether agents of a standing pay.
    pub fn apply_to(&self, standing: Standing) -> bool {
        self.rate(standing).is_some()
    }

    fn rate(&self, standing: Standing) -> Option<i64> {
        match standing {
            Standing::Stranger => self.rates.stranger.map(i64::from),
            Standing::Registered => self.rates.registered.map(i64::from),
            Standing::Admin => None,
        }
    }
}

impl Account {
    /// Adds what has come in since it was last filled.
    fn fill(&self, rate: i64, at_us: u64) {
        let filled = self.filled_us.load(Ordering::Relaxed);
        let came =
            i64::try_from(at_us.saturating_sub(filled)).unwrap_or(i64::MAX).saturating_mul(rate) / 1_000_000;
        let mine = came > 0
            && self.filled_us.compare_exchange(filled, at_us, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            let full = rate * HELD_S;
            let left = self.left.load(Ordering::Relaxed);
            self.left.fetch_add(came.min(full.saturating_sub(left)).max(0), Ordering::Relaxed);
        }
    }

    /// Takes so much, and be it a debt, if anything is left; else says how much is missing.
    fn take(&self, wanted: i64) -> Result<(), i64> {
        let before = self.left.fetch_sub(wanted, Ordering::Relaxed);
        if before > 0 {
            return Ok(());
        }
        self.left.fetch_add(wanted, Ordering::Relaxed);
        Err(1 - before)
    }
}

impl Purse {
    /// Pays for something; where the agent has nothing left, with what is said of it.
    pub fn pay(&mut self, cost: i64, standing: Standing, at: Instant) -> Result<(), Box<Problem>> {
        let Some(rate) = self.quotas.rate(standing) else { return Ok(()) };
        if self.left < cost {
            let portion = (rate / PORTIONS_A_SECOND).max(cost - self.left);
            let since = at.saturating_duration_since(self.quotas.begun);
            let at_us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
            self.account.fill(rate, at_us);
            if let Err(missing) = self.account.take(portion) {
                counter!(QUOTA_REFUSED, "standing" => standing.to_string()).increment(1);
                return Err(Box::new(refusal(standing, rate, missing)));
            }
            self.left += portion;
        }
        self.left -= cost;
        Ok(())
    }

    /// Takes what was found to be owed later, and be it a debt.
    pub fn owe(&mut self, cost: i64) {
        self.left -= cost;
        if self.left < 0 {
            self.account.left.fetch_add(self.left, Ordering::Relaxed);
            self.left = 0;
        }
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        self.account.left.fetch_add(self.left, Ordering::Relaxed);
    }
}

/// What a message costs, as far as its look tells.
pub fn cost_of(envelope: &Envelope, is_kept: bool) -> i64 {
    let (bytes, cost) = BYTES_COST;
    let size = (envelope.payload.len() + envelope.attributes.bytes()) / bytes;
    let proof = match &envelope.proof {
        None => 0,
        Some(Proof::Batch { .. }) => BATCH_PROOF_COST,
        Some(Proof::Single { .. }) => SIGNATURE_COST,
    };
    let keeping = if is_kept { KEEPING_COST } else { 0 };
    MESSAGE_COST + i64::try_from(size).unwrap_or(i64::MAX).saturating_mul(cost) + proof + keeping
}

/// What messages that are alike cost, which have no proof and are not kept.
pub fn cost_of_run(run: &Run) -> i64 {
    let (bytes, cost) = BYTES_COST;
    let size: usize = run.sizes().map(|size| size / bytes).sum();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    count(run.len()).saturating_mul(MESSAGE_COST).saturating_add(count(size).saturating_mul(cost))
}

/// What a command costs; those that end work, undo it or administer are free.
pub const fn cost_of_command(command: &Command) -> i64 {
    match command {
        Command::QueryLog { .. }
        | Command::Peek { .. }
        | Command::ListAgents
        | Command::ListConversations
        | Command::ListDefinitions
        | Command::ListTopics
        | Command::GetTopic { .. }
        | Command::ShowConversation { .. }
        | Command::Subscribe { .. } => QUESTION_COST,
        _ => 0,
    }
}

fn refusal(standing: Standing, rate: i64, missing: i64) -> Problem {
    let flag = if standing == Standing::Stranger { "--stranger-rate" } else { "--agent-rate" };
    let detail = format!(
        "the agent takes more than its quota of the node's time, {rate} units a second ({flag} of the node)"
    );
    let wait = Duration::from_secs_f64(missing as f64 / rate.max(1) as f64);
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let mut problem = Problem::new("agent.quota", detail);
    problem.retry_after_ms = Some(wait_ms.clamp(*RETRY_AFTER_MS.start(), *RETRY_AFTER_MS.end()));
    problem
}

#[cfg(test)]
mod tests {
    use super::{Quotas, Rates};
    use openmesh_core::Standing;
    use openmesh_message::{AgentId, KeyPair};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn agent(number: u8) -> AgentId {
        KeyPair::from_seed(&[number; 32]).unwrap().id()
    }

    /// Quotas of strangers, and a moment some milliseconds after they began.
    fn quotas(rate: u32, after_ms: u64) -> (Arc<Quotas>, Instant) {
        let quotas = Quotas::new(Rates { stranger: Some(rate), registered: None });
        let at = quotas.begun + Duration::from_millis(after_ms);
        (Arc::new(quotas), at)
    }

    #[test]
    fn connections_of_an_agent_share_its_rate_and_other_agents_have_their_own() {
        let (quotas, at) = quotas(1_000, 50);
        let (mut one, mut other) = (quotas.purse(agent(1)), quotas.purse(agent(1)));
        let paid = (0..200).filter(|turn| {
            let purse = if turn % 2 == 0 { &mut one } else { &mut other };
            purse.pay(10, Standing::Stranger, at).is_ok()
        });
        assert_eq!(paid.count(), 5, "50 ms at 1,000 units a second");
        let refused = one.pay(10, Standing::Stranger, at).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.retry_after_ms), ("agent.quota", Some(10)));
        assert!(refused.detail.contains("--stranger-rate"));
        assert!(one.pay(1_000_000, Standing::Registered, at).is_ok(), "whoever has no quota pays nothing");
        assert!(quotas.purse(agent(2)).pay(10, Standing::Stranger, at).is_ok());
        let later = at + Duration::from_secs(9);
        assert!(quotas.purse(agent(2)).pay(10, Standing::Stranger, later).is_ok());
        let paid = (0..1_000).filter(|_| one.pay(10, Standing::Stranger, later).is_ok()).count();
        assert_eq!(paid, 100, "no more is held than comes in a second");
    }

    #[test]
    fn what_is_owed_later_is_paid_before_anything_else() {
        let (quotas, at) = quotas(1_000, 20);
        let mut purse = quotas.purse(agent(1));
        assert!(purse.pay(10, Standing::Stranger, at).is_ok());
        purse.owe(1_000_000);
        let refused = purse.pay(10, Standing::Stranger, at).unwrap_err();
        assert_eq!(refused.retry_after_ms, Some(60_000));
    }

    #[test]
    fn what_a_connection_leased_and_did_not_spend_goes_back() {
        let (quotas, at) = quotas(100_000, 20);
        let _kept = quotas.purse(agent(1));
        let paid = (0..3_000).filter(|_| quotas.purse(agent(1)).pay(1, Standing::Stranger, at).is_ok());
        assert_eq!(paid.count(), 2_000);
    }
}
