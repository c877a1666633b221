//! The user's folder: the node's folder, the agents' keys, the known domains.

use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use anyhow::{Context, Result};
use openmesh_message::{AgentName, Certificate};
use openmesh_sdk::{AgentId, DomainId, KeyPair, identity};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The user's folder.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

/// An agent's key, and the name of its file.
#[derive(Clone)]
pub(crate) struct AgentKey {
    /// What the user calls it.
    pub(crate) name: String,
    /// The key.
    pub(crate) key: Arc<KeyPair>,
}

impl Home {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The node's folder.
    pub(crate) fn node(&self) -> PathBuf {
        self.0.join("node")
    }

    /// The admin token's file, if the node's folder is here.
    pub(crate) fn admin_token(&self) -> PathBuf {
        self.node().join("admin.token")
    }

    /// The key file of an agent.
    pub(crate) fn key_file(&self, name: &str) -> PathBuf {
        self.0.join("agents").join(format!("{name}.key"))
    }

    pub(super) fn known_domains(&self) -> PathBuf {
        self.0.join("known-domains.json")
    }

    /// The names of the agents whose keys are here, in order.
    pub(crate) fn agents(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("agents")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".key").map(str::to_owned)
        });
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Makes a key under a name that is free.
    pub(crate) fn make_agent(&self, name: &str) -> Result<AgentKey> {
        check_name(name)?;
        self.make()?;
        let file = self.key_file(name);
        if file.exists() {
            let next = "choose another name; a key is never overwritten";
            let what = format!("there is a key named {name}: {}", file.display());
            return Err(Failure::new(Exit::Failure, what).next(next).into());
        }
        let key = identity::new_key()?;
        identity::save(&key, &file)?;
        Ok(AgentKey { name: name.to_owned(), key: Arc::new(key) })
    }

    /// The key of a name, or of the only agent there is.
    pub(crate) fn agent(&self, name: Option<&str>) -> Result<AgentKey> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.only_agent()?,
        };
        check_name(&name)?;
        let file = self.key_file(&name);
        if !file.exists() {
            let next = match self.agents() {
                agents if agents.is_empty() => format!("make one with `openmesh agent new {name}`"),
                agents => {
                    format!("there are {}; or make one with `openmesh agent new {name}`", agents.join(", "))
                }
            };
            return Err(Failure::not_found(format!("no agent named {name} has a key here"))
                .next(next)
                .into());
        }
        Ok(AgentKey { key: Arc::new(identity::load(&file)?), name })
    }

    /// The domain of the node whose folder is here.
    pub(crate) fn node_domain(&self) -> Option<DomainId> {
        let bytes = fs::read(self.node().join("node.certificate")).ok()?;
        let certificate: Certificate = minicbor::decode(&bytes).ok()?;
        Some(certificate.domain())
    }

    /// Makes the folder and the one for keys, readable by their owner only.
    pub(super) fn make(&self) -> Result<()> {
        let folder = self.0.join("agents");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))
    }

    fn only_agent(&self) -> Result<String> {
        let mut agents = self.agents();
        match agents.len() {
            0 => Err(Failure::not_found("there is no agent to be")
                .next("make one: `openmesh agent new NAME`, then `openmesh agent register NAME`")
                .into()),
            1 => Ok(agents.remove(0)),
            _ => Err(Failure::usage(format!("there are several agents to be: {}", agents.join(", ")))
                .next("say which with --as NAME or OPENMESH_AGENT")
                .into()),
        }
    }
}

impl AgentKey {
    /// Who that is.
    pub(crate) fn id(&self) -> AgentId {
        self.key.id()
    }
}

fn check_name(name: &str) -> Result<()> {
    let parsed: Result<AgentName, _> = name.parse();
    parsed.map(drop).map_err(|why| Failure::usage(format!("`{name}` is no agent's name: {why}")).into())
}
