//! TLS as the operator asked for it: a certificate of their own, or one of a development authority in the folder.

use anyhow::{Context, Result};
use openmesh_listeners::tls::development::{Development, Made};
use openmesh_listeners::tls::{CertificateFiles, ServerTls};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a development certificate is looked at while the node runs.
const RENEWAL_EVERY: Duration = Duration::from_secs(60 * 60);

/// Where the certificate is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TlsChoice {
    /// From an authority of the node's own.
    Development,
    /// From these files.
    Files(CertificateFiles),
}

/// TLS, ready to be spoken.
pub(crate) struct NodeTls {
    /// For the listeners.
    pub(crate) server: ServerTls,
    /// The file that clients are to trust, where the node knows it.
    pub(crate) authority: Option<PathBuf>,
    renewal: Option<Renewal>,
}

struct Renewal {
    development: Development,
    names: Vec<String>,
}

impl NodeTls {
    /// Reads the certificate; makes it first where it is the node's own.
    pub(crate) fn prepare(choice: &TlsChoice, folder: &Path, listen: &[IpAddr]) -> Result<Self> {
        let (files, renewal) = match choice {
            TlsChoice::Files(files) => (files.clone(), None),
            TlsChoice::Development => {
                let folder = std::path::absolute(folder.join("tls"))?;
                let development = Development::new(folder);
                let renewal = Renewal { development, names: names(listen) };
                renewal.run().context("the development certificate")?;
                (renewal.development.files(), Some(renewal))
            }
        };
        let server = ServerTls::load(files).context("the TLS certificate")?;
        let authority = renewal.as_ref().map(|renewal| renewal.development.authority());
        Ok(Self { server, authority, renewal })
    }

    /// Takes changed files into use, and renews what is the node's own, until the task is ended.
    pub(crate) async fn keep_fresh(self) {
        let Some(renewal) = self.renewal else {
            return self.server.reload_when_changed().await;
        };
        tokio::select! {
            () = self.server.reload_when_changed() => {}
            () = renewal.repeat() => {}
        }
    }
}

impl Renewal {
    fn run(&self) -> Result<()> {
        if self.development.ensure(&self.names)? == Made::Authority {
            tracing::debug!("made a development authority");
        }
        Ok(())
    }

    async fn repeat(&self) {
        loop {
            tokio::time::sleep(RENEWAL_EVERY).await;
            if let Err(error) = self.run() {
                tracing::warn!("the development certificate cannot be renewed: {error:#}");
            }
        }
    }
}

/// What a development certificate is for: this machine by all its usual names, and the addresses listened on.
fn names(listen: &[IpAddr]) -> Vec<String> {
    let mut names: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let listened_on = listen.iter().filter(|address| !address.is_unspecified());
    for name in listened_on.map(ToString::to_string).chain([machine]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
