//! Time, power, connections, disk and policy: what happens to the world whatever the agents do.

use super::World;
use crate::node::From;
use crate::violation::{Violation, ensure};
use openmesh_core::ConnectionId;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

impl World {
    pub(super) fn pass_time(&mut self) {
        self.time = self.time.plus_ms(self.random.ms(1, 25));
        if self.random.chance(1, 60) {
            self.fault("long silence");
            let silence_ms = match self.random.below(12) {
                0..6 => self.random.ms(MINUTE_MS, 9 * MINUTE_MS),
                6..9 => self.random.ms(10 * MINUTE_MS, 45 * MINUTE_MS),
                9 => self.random.ms(11 * HOUR_MS, 13 * HOUR_MS),
                10 => self.random.ms(24 * HOUR_MS, 26 * HOUR_MS),
                _ => self.random.ms(30 * 24 * HOUR_MS, 31 * 24 * HOUR_MS),
            };
            self.time = self.time.plus_ms(silence_ms);
        }
    }

    /// Power comes back, connections come and go, the operator does what operators do.
    pub(super) fn change_world(&mut self) {
        if !self.node.is_up && self.time >= self.up_at {
            self.restart();
        }
        self.connect_all();
        if self.calm || !self.node.is_up {
            return;
        }
        if self.random.chance(1, 100) {
            let agent = self.anyone();
            self.disconnect(agent);
        }
        if self.random.chance(1, 60) {
            self.change_policy();
        }
        if self.random.chance(1, 120) {
            self.fault("disk full");
            self.node.disk_full = true;
        } else if self.random.chance(1, 8) {
            self.node.disk_full = false;
        }
        if self.random.chance(1, 300) {
            self.fault("clock forward");
            self.ahead_ms += self.random.ms(1_000, 90_000);
        }
        if self.random.chance(1, 400) {
            self.fault("clean restart");
            self.node.stop();
            self.after_crash();
        }
    }

    fn change_policy(&mut self) {
        if let Some(file) = self.random.pick(&self.files).cloned() {
            self.node.file = file;
        }
        if self.node.is_up {
            self.fault("policy changed");
            self.node.reload_policy();
        } else {
            self.fault("policy changed while down");
        }
    }

    /// What agents see of a crash: their connections end.
    pub(super) fn after_crash(&mut self) {
        for agent in &mut self.agents {
            agent.connection = None;
            agent.held.clear();
        }
        self.up_at = self.time.plus_ms(self.random.ms(10, 400));
        if self.random.chance(1, 4) {
            self.change_policy();
        }
    }

    fn restart(&mut self) {
        let from = match self.random.below(3) {
            0 => From::Log,
            1 => From::Snapshot(0),
            _ => From::Snapshot(1),
        };
        if self.random.chance(1, 3) {
            self.fault("clock back at restart");
            let back_ms = match self.random.below(4) {
                0 => self.random.ms(23 * HOUR_MS, 26 * HOUR_MS),
                _ => self.random.ms(1_000, 10 * MINUTE_MS),
            };
            self.ahead_ms -= back_ms;
        } else {
            self.ahead_ms = 0;
        }
        if let Err(violation) = self.boot(from) {
            self.broken = Some(violation);
        }
    }

    pub(super) fn boot(&mut self, from: From) -> Result<(), Violation> {
        let has = matches!(from, From::Snapshot(age) if self.node.log.snapshot(age).is_some());
        let partition = self.node.recover(from)?;
        self.fault(match from {
            From::Snapshot(0) if has => "recovered from the newest snapshot",
            From::Snapshot(_) if has => "recovered from an older snapshot",
            _ => "recovered from the log alone",
        });
        self.feed_model()?;
        self.check_recovered(&partition, has)?;
        let now = self.now();
        self.node.start(partition, now)?;
        self.feed_model()?;
        ensure(self.node.is_up, "a node goes up", String::new)
    }

    fn connect_all(&mut self) {
        if !self.node.is_up {
            return;
        }
        for agent in 0..self.agents.len() {
            let is_away = self.agents.get(agent).is_some_and(|agent| agent.connection.is_none());
            if is_away && (self.calm || self.random.chance(1, 4)) {
                self.connect(agent);
            }
        }
    }

    pub(crate) fn connect(&mut self, agent: usize) {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.connection = Some(connection);
            let (id, receives) = (agent.id(), agent.receives);
            self.node.connect(connection, (id, agent.name.clone()), receives);
        }
    }

    pub(crate) fn disconnect(&mut self, agent: usize) {
        let connection = self.agents.get_mut(agent).and_then(|agent| agent.connection.take());
        if let Some(connection) = connection {
            self.fault("connection lost");
            self.node.disconnect(connection);
        }
    }

    pub(super) fn take_snapshot(&mut self) {
        if self.random.chance(1, 40)
            && let Ok(bytes) = self.node.partition.snapshot()
        {
            self.node.log.keep_snapshot(bytes);
        }
    }
}
