//! One line an agent, opened when it is first needed and closed when it has not been used for a while.

use super::Line;
use super::busy;
use crate::http::problem::Failure;
use openmesh_adapter::MeshHandle;
use openmesh_message::AgentId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// Lines at a time.
const LINES_MAX: usize = 4_096;
/// How long a line that nobody uses is kept.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// How often idle lines are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// The lines of all agents that call.
#[derive(Default)]
pub(super) struct Pool(Mutex<BTreeMap<AgentId, Kept>>);

struct Kept {
    line: Arc<Line>,
    used: Instant,
}

impl Pool {
    /// The agent's line.
    pub(super) async fn line(&self, agent: AgentId, mesh: &MeshHandle) -> Result<Arc<Line>, Failure> {
        let mut lines = self.0.lock().await;
        if let Some(kept) = lines.get_mut(&agent).filter(|kept| !kept.line.is_closed()) {
            kept.used = Instant::now();
            return Ok(Arc::clone(&kept.line));
        }
        if lines.len() >= LINES_MAX && !lines.contains_key(&agent) {
            give_up_oldest(&mut lines).await?;
        }
        let line = Line::open(agent, mesh).await?;
        lines.insert(agent, Kept { line: Arc::clone(&line), used: Instant::now() });
        Ok(line)
    }

    /// Closes idle lines, for ever.
    pub(super) async fn sweep(&self) {
        loop {
            sleep(SWEEP_EVERY).await;
            let mut lines = self.0.lock().await;
            let idle = |kept: &Kept| kept.used.elapsed() > IDLE_MAX && Arc::strong_count(&kept.line) == 1;
            let over: Vec<_> = lines.iter().filter(|(_, kept)| idle(kept)).map(|(agent, _)| *agent).collect();
            for agent in over {
                if let Some(kept) = lines.remove(&agent) {
                    kept.line.close().await;
                }
            }
        }
    }
}

/// Closes the line that was used least lately and that nobody waits on.
async fn give_up_oldest(lines: &mut BTreeMap<AgentId, Kept>) -> Result<(), Failure> {
    let unused = lines.iter().filter(|(_, kept)| Arc::strong_count(&kept.line) == 1);
    let oldest = unused.min_by_key(|(_, kept)| kept.used).map(|(agent, _)| *agent);
    let kept = oldest.and_then(|agent| lines.remove(&agent)).ok_or_else(busy)?;
    kept.line.close().await;
    Ok(())
}
