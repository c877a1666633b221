//! A node as a process of its own in a folder of its own, and agents that are let in.

use openmesh_sdk::{ConnectOptions, KeyPair, Mesh, Tls, identity};
use serde::Deserialize;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const READY_WAIT: Duration = Duration::from_secs(60);

/// A running node; killed when dropped.
pub(crate) struct Node {
    child: Child,
    home: PathBuf,
    /// Goes with the last node that ran in it.
    _kept: Option<Arc<TempDir>>,
    pub(crate) way: Way,
    pub(crate) endpoint: Endpoint,
}

/// How a node is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// What stands before the program, which takes its place under the same process: `prlimit`, `strace -D`.
    pub(crate) prefix: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) arguments: Vec<String>,
    /// Where what it logs goes; the test's own output where nothing is said.
    pub(crate) errors: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    http: Option<SocketAddr>,
    pub(crate) domain: openmesh_sdk::DomainId,
    pub(crate) pid: u32,
    pub(crate) tls: Option<EndpointTls>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct EndpointTls {
    ca: Option<PathBuf>,
}

impl Way {
    /// With these arguments after `openmesh up`.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { arguments, ..Self::default() }
    }

    /// With a variable more.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Node {
    /// Starts a node in a fresh folder.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_kept(Arc::new(tempfile::tempdir().unwrap()), Way::with(arguments))
    }

    /// Starts a node in a home folder of the test's; its own folder is `node` in it.
    pub(crate) fn start_in(home: &Path, way: Way) -> Self {
        match launch(home, &way) {
            Ok((child, endpoint)) => Self { child, home: home.to_owned(), _kept: None, way, endpoint },
            Err(status) => panic!("the node ended before it was ready: {status}"),
        }
    }

    fn start_kept(home: Arc<TempDir>, way: Way) -> Self {
        let mut node = Self::start_in(home.path(), way);
        node._kept = Some(home);
        node
    }

    /// Starts a node in a fresh folder under rules of the test's own.
    pub(crate) fn start_under(policy: &str, arguments: &[&str]) -> Self {
        let home = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder(home.path())).unwrap();
        std::fs::write(folder(home.path()).join("policy.toml"), policy).unwrap();
        Self::start_kept(home, Way::with(arguments))
    }

    /// Starts a node in a fresh folder, and has what it logs written to a file.
    pub(crate) fn start_logged(arguments: &[&str]) -> (Self, PathBuf) {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let log = home.path().join("stderr");
        let way = Way { errors: Some(log.clone()), ..Way::with(arguments) };
        (Self::start_kept(home, way), log)
    }

    /// Ends the node as a power cut of the process would, and starts it again on the same folder.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Starts an ended node again on the same folder.
    pub(crate) fn restart(&mut self) {
        match launch(&self.home, &self.way) {
            Ok((child, endpoint)) => (self.child, self.endpoint) = (child, endpoint),
            Err(status) => panic!("the node ended before it was ready: {status}"),
        }
    }

    /// Starts an ended node again under an environment that may have it end; how it ended if that was before it was ready.
    pub(crate) fn restart_under(&mut self, environment: &[(&str, &str)]) -> Result<(), ExitStatus> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let way = Way { environment: environment.collect(), ..self.way.clone() };
        (self.child, self.endpoint) = launch(&self.home, &way)?;
        Ok(())
    }

    /// Waits for the node to end by itself.
    pub(crate) fn ended_within(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + at_most;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
    }

    /// SIGSTOP, and waits until no thread of the node runs any more: what a thread asked of the kernel may still be under way,
    /// but the node says nothing of it.
    pub(crate) fn freeze(&mut self) {
        let process = self.child.id();
        let status = Command::new("kill").arg("-STOP").arg(process.to_string()).status().unwrap();
        assert!(status.success());
        let runs = |task: &Path| {
            let stat = std::fs::read_to_string(task.join("stat")).unwrap_or_default();
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| matches!(rest.trim_start().chars().next(), Some('R' | 'S')))
        };
        let tasks = || std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
        while tasks().any(|task| runs(&task.path())) {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// SIGKILL to this node alone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, then waits for the node to end by itself.
    pub(crate) fn stop(&mut self) {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        assert!(self.child.wait().unwrap().success(), "a node told to stop ends well");
    }

    /// Whether the node has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Where the node serves HTTP.
    pub(crate) fn http(&self) -> SocketAddr {
        self.endpoint.http.expect("the node serves HTTP")
    }

    /// A node on a copy of this one's folder, while this one is stopped.
    pub(crate) fn copy(&self) -> Self {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let status = Command::new("cp").arg("-a").arg(self.folder()).arg(home.path()).status().unwrap();
        assert!(status.success());
        let mut way = self.way.clone();
        way.arguments.push("--adopt-folder".to_owned());
        Self::start_kept(home, way)
    }

    /// The folder of the node's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder().join("log")
    }

    /// The folder of the node.
    pub(crate) fn folder(&self) -> PathBuf {
        folder(&self.home)
    }

    /// The domain's admin token.
    pub(crate) fn admin_token(&self) -> String {
        let text = std::fs::read_to_string(self.folder().join("admin.token")).unwrap();
        text.trim().to_owned()
    }

    /// Connects an agent.
    pub(crate) async fn connect(&self, key: &Arc<KeyPair>) -> Mesh {
        Mesh::connect(&self.options(key)).await.unwrap()
    }

    /// Connects a new agent and registers it under a name.
    pub(crate) async fn agent(&self, name: &str) -> (Arc<KeyPair>, Mesh) {
        let key = new_key();
        let mesh = self.connect(&key).await;
        mesh.register(name, Some(&self.admin_token())).await.unwrap();
        (key, mesh)
    }

    pub(crate) fn options(&self, key: &Arc<KeyPair>) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.endpoint.address, self.endpoint.domain, Arc::clone(key));
        options.tls = self.authority().map(|authority| Tls::trusting(&authority).unwrap());
        options
    }

    /// The development authority that signed the node's certificate, if it has one.
    pub(crate) fn authority(&self) -> Option<PathBuf> {
        self.endpoint.tls.clone()?.ca
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn new_key() -> Arc<KeyPair> {
    Arc::new(identity::new_key().unwrap())
}

/// Starts a node on a folder that it is expected to refuse; what it said, or `None` where it came up and was ended again.
pub(crate) fn refused_start(home: &Path, way: &Way) -> Option<String> {
    let errors = tempfile::NamedTempFile::new().unwrap();
    match launch(home, &Way { errors: Some(errors.path().to_owned()), ..way.clone() }) {
        Ok((mut child, _)) => {
            child.kill().unwrap();
            child.wait().unwrap();
            None
        }
        Err(_) => Some(std::fs::read_to_string(errors.path()).unwrap()),
    }
}

fn folder(home: &Path) -> PathBuf {
    home.join("node")
}

/// Waits until the node is ready, or has ended.
fn launch(home: &Path, way: &Way) -> Result<(Child, Endpoint), ExitStatus> {
    let endpoint_file = folder(home).join("endpoint.json");
    let _ = std::fs::remove_file(&endpoint_file);
    let errors = way.errors.as_ref().map(|path| File::create(path).unwrap().into());
    let mut words = way.prefix.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_openmesh")]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .arg("up")
        .arg("--data")
        .arg(folder(home))
        .args(["--listen", "127.0.0.1:0"])
        .args(&way.arguments)
        .env("OPENMESH_HOME", home)
        .envs(way.environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .stderr(errors.unwrap_or_else(Stdio::inherit));
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + READY_WAIT;
    loop {
        if let Ok(text) = std::fs::read(&endpoint_file)
            && let Ok(endpoint) = serde_json::from_slice::<Endpoint>(&text)
            && endpoint.pid == child.id()
        {
            return Ok((child, endpoint));
        }
        if let Some(status) = child.try_wait().unwrap() {
            return Err(status);
        }
        assert!(Instant::now() < until, "the node was not ready in {READY_WAIT:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
