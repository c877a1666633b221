//! Which cores a process runs on, so that what floods a node takes no time from it, and can do more than the node.

use crate::faults::machine::ControlGroup;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::time::Duration;

/// So much of its core the node may use: what offers it twice what it can do has whole ones.
const NODE_PERCENT: u64 = 40;

/// The node on a part of one core and this program on the others, until this is dropped.
pub(super) struct Cores {
    all: CpuSet,
    /// This program's, how many.
    own: u32,
    node: u32,
    share: ControlGroup,
}

impl Cores {
    /// Moves both; an error says what this machine lacks.
    pub(super) fn apart(node: u32) -> Result<Self, String> {
        let all = sched_getaffinity(None).unwrap();
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let (mut of_node, mut others) = (CpuSet::new(), CpuSet::new());
        of_node.set(cores.next().unwrap());
        cores.for_each(|core| others.set(core));
        if others.count() == 0 {
            return Err("there is one core".to_owned());
        }
        let share = ControlGroup::with_part_of_a_core("openmesh-flooded", NODE_PERCENT)?;
        share.hold(node);
        move_to(&node.to_string(), &of_node);
        move_to("self", &others);
        Ok(Self { all, own: others.count(), node, share })
    }

    /// Processor time that this program has used, of each of its cores.
    pub(super) fn used(&self) -> Duration {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        // Behind the name, which may have spaces in it: user time and system time, in hundredths of a second (proc(5)).
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let times = fields.split_whitespace().skip(11).take(2);
        let hundredths: u64 = times.map(|time| time.parse::<u64>().unwrap()).sum();
        Duration::from_millis(hundredths * 10) / self.own
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.share.release(self.node);
        move_to("self", &self.all);
    }
}

/// Every thread of a process; one that it starts later is where the one that started it is.
fn move_to(process: &str, cores: &CpuSet) {
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let number = thread.unwrap().file_name().to_str().and_then(|name| name.parse().ok()).unwrap();
        // One that has ended meanwhile needs no core.
        let _ = sched_setaffinity(Pid::from_raw(number), cores);
    }
}
