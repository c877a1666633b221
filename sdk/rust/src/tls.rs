//! TLS with a node: whose certificates are believed, and the keying material that the handshake is bound to.

use crate::SdkError;
use openmesh_message::handshake::{ALPN, EXPORTER_BYTES, EXPORTER_LABEL};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Names the file with this machine's certificate authorities, as for OpenSSL.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";
/// Where systems keep their certificate authorities: Debian, Red Hat, Alpine and macOS, SUSE.
const ROOTS_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// How to speak TLS (1.3) with a node; cheap to clone.
///
/// The certificate must be signed by a trusted authority and bear the node's name or address. The handshake
/// above it proves the pinned domain on the same channel, so a false certificate alone gains nobody anything.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl Tls {
    /// Believes only what the authorities in this PEM file signed.
    pub fn trusting(file: &Path) -> Result<Self, SdkError> {
        let mut roots = RootCertStore::empty();
        for authority in read_certificates(file)? {
            roots.add(authority).map_err(|error| certificate_file(file, &error.to_string()))?;
        }
        Self::with_roots(roots)
    }

    /// Believes what this machine's certificate authorities signed: those of the file that `SSL_CERT_FILE`
    /// names, or where the system keeps them.
    pub fn trusting_this_machine() -> Result<Self, SdkError> {
        let named = std::env::var_os(ROOTS_VARIABLE).map(PathBuf::from);
        let mut usual = ROOTS_FILES.iter().map(PathBuf::from).filter(|file| file.exists());
        let file = named.or_else(|| usual.next()).ok_or(SdkError::NoAuthorities)?;
        let mut roots = RootCertStore::empty();
        // Systems keep authorities that no verifier of today takes.
        let (taken, _) = roots.add_parsable_certificates(read_certificates(&file)?);
        if taken == 0 {
            return Err(certificate_file(&file, "it holds no certificate authority that can be used"));
        }
        Self::with_roots(roots)
    }

    /// The name that the node's certificate must bear, where it is not the address connected to.
    pub fn named(mut self, name: &str) -> Result<Self, SdkError> {
        let parsed = ServerName::try_from(name.to_owned());
        self.name = Some(parsed.map_err(|_| SdkError::ServerName(name.to_owned()))?);
        Ok(self)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, SdkError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]);
        let builder = builder.map_err(|error| SdkError::Tls { why: error.to_string() })?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Each connection checks the certificate.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), name: None })
    }

    /// TLS over a fresh connection, and the bytes that bind a handshake to it.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Result<(TlsStream<TcpStream>, [u8; EXPORTER_BYTES]), SdkError> {
        let name = self.name.clone().unwrap_or_else(|| ServerName::from(address.ip()));
        let shown = name.to_str().into_owned();
        let connecting = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream);
        let stream = connecting.await.map_err(|error| explain(&error, &shown))?;
        let (_, session) = stream.get_ref();
        let exported = session.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, Some(b""));
        let exporter = exported.map_err(|error| SdkError::Tls { why: error.to_string() })?;
        Ok((stream, exporter))
    }
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, SdkError> {
    let refuse = |error: rustls::pki_types::pem::Error| certificate_file(file, &error.to_string());
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(refuse)?.collect();
    let certificates = read.map_err(refuse)?;
    if certificates.is_empty() {
        return Err(certificate_file(file, "it holds no certificate in PEM form"));
    }
    Ok(certificates)
}

fn certificate_file(file: &Path, why: &str) -> SdkError {
    SdkError::CertificateFile { path: file.display().to_string(), why: why.to_owned() }
}

/// What a failed TLS handshake means to whoever started it.
fn explain(error: &io::Error, name: &str) -> SdkError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let why = match tls {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer => {
                "no authority that is trusted signed the node's certificate: name the right one with --ca FILE"
                    .to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the node's certificate is not for {name}: connect by a name that it bears")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the node's certificate has expired: renew it, or look at the clocks".to_owned()
            }
            other => format!("the node's certificate is not accepted: {other}"),
        },
        Some(other) => format!("{other}; does the node speak TLS at that address?"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the node ended it; does it speak TLS at that address?".to_owned()
        }
        None => error.to_string(),
    };
    SdkError::Tls { why }
}
