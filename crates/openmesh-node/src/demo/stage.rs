//! The processes of the demo: started here, spoken to over pipes, stopped each by its own handle.
//!
//! Each ends by itself when its standard input closes, so none outlives the demo, however that ends.

use super::cue::{Cue, News};
use crate::start::{Endpoint, read_endpoint};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

const NEWS_MAX: usize = 256;
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long a process may take to end by itself before it is killed.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of what a failed process said is shown.
const LAST_WORDS_LINES: usize = 5;

/// Every process of a run.
pub(crate) struct Stage {
    program: PathBuf,
    folder: PathBuf,
    node: Option<Child>,
    agents: Vec<Actor>,
    sender: mpsc::Sender<Spoken>,
    receiver: mpsc::Receiver<Spoken>,
}

/// An agent's process.
struct Actor {
    name: String,
    child: Child,
    cues: Option<ChildStdin>,
    is_done: bool,
}

/// Something an agent said, or that it said its last.
pub(crate) struct Spoken {
    /// Who.
    pub(crate) name: String,
    /// What; `None` when its output ended.
    pub(crate) news: Option<News>,
}

impl Stage {
    /// An empty stage; what processes print goes to files in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let (sender, receiver) = mpsc::channel(NEWS_MAX);
        Ok(Self { program, folder: folder.to_owned(), node: None, agents: Vec::new(), sender, receiver })
    }

    /// Starts the node, which outlives the demo if `keep`, and waits until it can be reached.
    pub(crate) async fn start_node(&mut self, keep: bool) -> Result<Endpoint> {
        let mut command = self.command("node")?;
        command.arg("up").arg("--data").arg(&self.folder);
        command.args(["--listen", "127.0.0.1:0", "--pin", "market/**"]);
        if !keep {
            command.arg("--until-stdin-closes");
        }
        command.stdout(Stdio::null()).stdin(if keep { Stdio::null() } else { Stdio::piped() });
        let child = command.kill_on_drop(!keep).spawn().context("cannot start the node")?;
        let child = self.node.insert(child);
        loop {
            if let Some(status) = child.try_wait()? {
                bail!("the node ended at once ({status}){}", last_words(&self.folder, "node"));
            }
            match read_endpoint(&self.folder) {
                Ok(endpoint) if Some(endpoint.pid) == child.id() => return Ok(endpoint),
                _ => sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Starts an agent and gives it its first cue.
    pub(crate) async fn start_agent(&mut self, role: &str, name: &str, cue: &Cue) -> Result<()> {
        let mut command = self.command(name)?;
        command.args(["demo-agent", role, name]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let cues = child.stdin.take();
        if let Some(output) = child.stdout.take() {
            let lines = BufReader::new(output).lines();
            tokio::spawn(forward(name.to_owned(), lines, self.sender.clone()));
        }
        self.agents.push(Actor { name: name.to_owned(), child, cues, is_done: false });
        self.tell(name, cue).await
    }

    /// Tells one agent something.
    pub(crate) async fn tell(&mut self, name: &str, cue: &Cue) -> Result<()> {
        let actor = self.agents.iter_mut().find(|actor| actor.name == name);
        let cues = actor.and_then(|actor| actor.cues.as_mut());
        let cues = cues.with_context(|| format!("{name} is not on stage"))?;
        let mut line = serde_json::to_vec(cue)?;
        line.push(b'\n');
        cues.write_all(&line).await.with_context(|| format!("{name} does not listen"))?;
        Ok(cues.flush().await?)
    }

    /// What is said next, by anyone.
    pub(crate) async fn listen(&mut self) -> Option<Spoken> {
        self.receiver.recv().await
    }

    /// Notes that an agent is done, so that its leaving is no failure.
    pub(crate) fn let_leave(&mut self, name: &str) {
        if let Some(actor) = self.agents.iter_mut().find(|actor| actor.name == name) {
            actor.is_done = true;
        }
    }

    /// Whether an agent is done.
    pub(crate) fn may_leave(&self, name: &str) -> bool {
        self.agents.iter().any(|actor| actor.name == name && actor.is_done)
    }

    /// Waits for an agent that leaves too early, and says why it does, as far as it said so itself.
    pub(crate) async fn last_words(&mut self, name: &str) -> String {
        if let Some(actor) = self.agents.iter_mut().find(|actor| actor.name == name) {
            actor.cues = None;
            end(&mut actor.child).await;
        }
        last_words(&self.folder, name)
    }

    /// Lets the agents leave.
    pub(crate) async fn end_agents(&mut self) {
        for actor in &mut self.agents {
            actor.cues = None;
        }
        for mut actor in self.agents.drain(..) {
            end(&mut actor.child).await;
        }
    }

    /// Lets the node close its log and end.
    pub(crate) async fn end_node(&mut self) {
        if let Some(mut node) = self.node.take() {
            drop(node.stdin.take());
            end(&mut node).await;
        }
    }

    /// Lets the node live on.
    pub(crate) fn keep_node(&mut self) {
        self.node = None;
    }

    fn command(&self, name: &str) -> Result<Command> {
        let file = log_file(&self.folder, name);
        let errors = File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = Command::new(&self.program);
        // A group of its own: an interrupt from the keyboard reaches the demo alone, which ends them in order.
        command.process_group(0).stderr(errors);
        Ok(command)
    }
}

/// Waits for a process that was asked to leave, and kills it if it does not.
async fn end(child: &mut Child) {
    if timeout(LEAVE_TIMEOUT, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

async fn forward(name: String, mut lines: Lines<BufReader<ChildStdout>>, sender: mpsc::Sender<Spoken>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(news) = serde_json::from_str(&line) else { break };
        let spoken = Spoken { name: name.clone(), news: Some(news) };
        if sender.send(spoken).await.is_err() {
            return;
        }
    }
    let _ = sender.send(Spoken { name, news: None }).await;
}

fn log_file(folder: &Path, name: &str) -> PathBuf {
    folder.join("agents").join(format!("{name}.log"))
}

fn last_words(folder: &Path, name: &str) -> String {
    let said = std::fs::read_to_string(log_file(folder, name)).unwrap_or_default();
    let lines: Vec<_> = said.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LAST_WORDS_LINES));
    last.fold(String::new(), |text, line| format!("{text}\n  {line}"))
}
