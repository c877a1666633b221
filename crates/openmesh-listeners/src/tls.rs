//! TLS for every door: one certificate from files that are read again when they change, TLS 1.3 only, and the
//! exported bytes that handshakes bind themselves to.

mod certificates;
pub mod development;

use crate::accept::Door;
use certificates::{Certificates, FileStamps};
use openmesh_message::handshake::{ALPN, Binding, EXPORTER_BYTES, EXPORTER_LABEL};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the certificate files are looked at.
pub const RELOAD_EVERY: Duration = Duration::from_secs(2);
/// What ALPN calls HTTP/1.1 (RFC 7301).
const ALPN_HTTP: &[u8] = b"http/1.1";

/// The files of a certificate, in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The node's certificate, then those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why TLS cannot be spoken.
#[derive(Debug, Error)]
pub enum TlsFault {
    /// A file cannot be read, or does not hold what it should.
    #[error("{file}: {why}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A file cannot be written.
    #[error("cannot write {file}: {source}")]
    Write {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The library refused its configuration.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// TLS as a node speaks it.
#[derive(Clone)]
pub struct ServerTls {
    certificates: Arc<Certificates>,
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Reads a certificate and its key.
    pub fn load(files: CertificateFiles) -> Result<Self, TlsFault> {
        let certificates = Arc::new(Certificates::load(files)?);
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::clone(&certificates) as _);
        // Each connection is shown the certificate in force: none is a resumed one of before.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { certificates, config: Arc::new(config) })
    }

    /// Reads the files again whenever they change; until the task is ended. What cannot be used changes nothing.
    pub async fn reload_when_changed(self) {
        let mut ticks = interval(RELOAD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed: Option<FileStamps> = None;
        loop {
            ticks.tick().await;
            match self.certificates.reload() {
                Ok(false) => {}
                Ok(true) => {
                    failed = None;
                    tracing::info!("the TLS certificate was read again");
                }
                Err((stamps, fault)) => {
                    if failed.as_ref() != Some(&stamps) {
                        tracing::warn!(%fault, "the TLS certificate changed but cannot be used: the one before stays");
                        failed = Some(stamps);
                    }
                }
            }
        }
    }

    /// TLS for what is spoken behind one door.
    pub(crate) fn acceptor(&self, door: Door) -> DoorTls {
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = vec![match door {
            Door::Native => ALPN.to_vec(),
            Door::Http => ALPN_HTTP.to_vec(),
        }];
        DoorTls(TlsAcceptor::from(Arc::new(config)))
    }
}

/// TLS behind one door.
#[derive(Clone)]
pub(crate) struct DoorTls(TlsAcceptor);

impl DoorTls {
    /// The TLS handshake on a fresh connection.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Binding)> {
        let stream = self.0.accept(stream).await?;
        let (_, session) = stream.get_ref();
        let exported = session.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, Some(b""));
        let exporter = exported.map_err(io::Error::other)?;
        Ok((stream, Binding::Tls(exporter)))
    }
}
