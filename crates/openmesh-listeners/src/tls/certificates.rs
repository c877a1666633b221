//! The certificate in force, and the files it is from.

use super::{CertificateFiles, TlsFault};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// Who has no business with a private key.
const OTHERS_BITS: u32 = 0o007;

/// A certificate that can be exchanged while it is in use.
#[derive(Debug)]
pub(super) struct Certificates {
    files: CertificateFiles,
    in_force: RwLock<InForce>,
}

/// When both files were last written, and how long they are.
pub(super) type FileStamps = [Option<(SystemTime, u64)>; 2];

#[derive(Debug)]
struct InForce {
    key: Arc<CertifiedKey>,
    stamps: FileStamps,
}

impl Certificates {
    pub(super) fn load(files: CertificateFiles) -> Result<Self, TlsFault> {
        let stamps = stamps(&files);
        let key = Arc::new(read(&files)?);
        Ok(Self { files, in_force: RwLock::new(InForce { key, stamps }) })
    }

    /// Reads changed files; whether there were any. On failure, the certificate in force stays.
    pub(super) fn reload(&self) -> Result<bool, (FileStamps, TlsFault)> {
        let stamps = stamps(&self.files);
        if self.in_force.read().unwrap_or_else(PoisonError::into_inner).stamps == stamps {
            return Ok(false);
        }
        let key = read(&self.files).map_err(|fault| (stamps, fault))?;
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        *in_force = InForce { key: Arc::new(key), stamps };
        Ok(true)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

/// Reads a certificate chain and the key of its first, and checks that they belong together.
pub(super) fn read(files: &CertificateFiles) -> Result<CertifiedKey, TlsFault> {
    let chain = read_chain(&files.certificate)?;
    let refuse = |why: String| TlsFault::File { file: files.key.display().to_string(), why };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| refuse(error.to_string()))?;
    warn_of_readers(&files.key);
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map_err(|error| refuse(format!("it does not fit the certificate: {error}")))
}

pub(super) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let refuse = |why: String| TlsFault::File { file: file.display().to_string(), why };
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|error| refuse(error.to_string()))?.collect();
    let chain = read.map_err(|error| refuse(error.to_string()))?;
    if chain.is_empty() {
        return Err(refuse("it holds no certificate in PEM form".to_owned()));
    }
    Ok(chain)
}

fn warn_of_readers(key: &Path) {
    let mode = fs::metadata(key).map(|found| found.permissions().mode());
    if mode.is_ok_and(|mode| mode & OTHERS_BITS != 0) {
        tracing::warn!(key = %key.display(), "everybody on this machine can read the TLS key: chmod 600 it");
    }
}

fn stamps(files: &CertificateFiles) -> FileStamps {
    [&files.certificate, &files.key].map(|file| {
        let found = fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len()))
    })
}
