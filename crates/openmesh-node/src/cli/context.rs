//! What every command can be told, and what follows from it: where things are, who one is, which node to talk to.

mod connecting;
mod home;
mod known_domains;
mod names;
mod node_address;
mod trust;

pub(crate) use home::{AgentKey, Home};
pub(crate) use names::Names;
use node_address::NodeAddress;
pub(crate) use trust::Trust;

use super::failure::Failure;
use super::output::Format;
use anyhow::Result;
use openmesh_message::Authority;
use openmesh_sdk::{DomainId, Mesh, identity};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

/// Flags that every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// The folder with the node, the agents' keys and the known domains [default: ~/.openmesh].
    #[arg(long, global = true, env = "OPENMESH_HOME", value_name = "DIR", hide_env_values = true)]
    home: Option<PathBuf>,
    /// Which agent to be: the name of a key made with `openmesh agent new` [default: the only one there is].
    #[arg(long = "as", global = true, env = "OPENMESH_AGENT", value_name = "NAME", hide_env_values = true)]
    agent: Option<String>,
    /// The node's address, such as 127.0.0.1:7447 or mesh.example.org:7447 [default: the node that runs from the
    /// home folder].
    #[arg(long, global = true, value_name = "ADDRESS")]
    node: Option<NodeAddress>,
    /// The domain the node must prove it belongs to [default: as known from the first connection].
    #[arg(long, global = true, value_name = "ID")]
    domain: Option<DomainId>,
    /// Speak TLS, and trust the authorities in this PEM file only; `system` trusts those of this machine
    /// [default: as the node in the home folder says, or as remembered from the first connection].
    #[arg(long, global = true, env = "OPENMESH_CA", value_name = "FILE", hide_env_values = true)]
    ca: Option<Trust>,
    /// Say more about what happens; twice for all of it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// Where the program runs.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    globals: Globals,
}

impl Context {
    /// A context as the command line says.
    pub(crate) const fn new(globals: Globals) -> Self {
        Self { globals }
    }

    /// How results are printed.
    pub(crate) const fn format(&self) -> Format {
        self.globals.output
    }

    /// What is logged, as far as the command line says how much.
    pub(crate) const fn log_level(&self) -> &'static str {
        match self.globals.verbose {
            0 => "error",
            1 => "info",
            _ => "debug",
        }
    }

    /// Whether the user said which node to talk to.
    pub(crate) const fn names_a_node(&self) -> bool {
        self.globals.node.is_some() || self.globals.domain.is_some()
    }

    /// The user's folder.
    pub(crate) fn home(&self) -> Result<Home> {
        let default = || std::env::home_dir().map(|folder| folder.join(".openmesh"));
        let folder = self.globals.home.clone().or_else(default);
        let folder = folder.ok_or_else(|| {
            Failure::usage("your home folder is not known").next("name a folder with --home or OPENMESH_HOME")
        })?;
        Ok(Home::new(folder))
    }

    /// The key of the agent one is.
    pub(crate) fn agent(&self) -> Result<AgentKey> {
        self.home()?.agent(self.globals.agent.as_deref())
    }

    /// Connects to the node as the agent one is.
    pub(crate) async fn connect(&self) -> Result<Mesh> {
        connecting::connect(self, self.agent()?).await
    }

    /// Connects as a certain agent.
    pub(crate) async fn connect_as(&self, name: &str) -> Result<Mesh> {
        connecting::connect(self, self.home()?.agent(Some(name))?).await
    }

    /// Connects as nobody in particular, with a key that is thrown away.
    pub(crate) async fn connect_as_stranger(&self) -> Result<Mesh> {
        let key = AgentKey { name: "nobody".to_owned(), key: Arc::new(identity::new_key()?) };
        connecting::connect(self, key).await
    }

    /// The domain, as far as it is known without a node: as named, of the node in the home folder or the one named.
    pub(crate) fn known_domain(&self) -> Result<Option<DomainId>> {
        let home = self.home()?;
        let pinned = match &self.globals.node {
            Some(address) => known_domains::look_up(&home, address)?.domain,
            None => home.node_domain(),
        };
        Ok(self.globals.domain.or(pinned))
    }

    /// Whom unqualified names of definitions belong to, as far as that is known without a node.
    pub(crate) fn authority(&self) -> Authority {
        let domain = self.globals.domain.or_else(|| self.home().ok()?.node_domain());
        Authority::Domain(domain.unwrap_or_else(|| DomainId::from_bytes([0; 32])))
    }

    /// Runs a client's work to its end, or to ctrl-c.
    pub(crate) fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work)
    }

    pub(super) const fn node(&self) -> Option<&NodeAddress> {
        self.globals.node.as_ref()
    }

    pub(super) const fn trust(&self) -> Option<&Trust> {
        self.globals.ca.as_ref()
    }

    pub(super) const fn domain(&self) -> Option<DomainId> {
        self.globals.domain
    }
}
