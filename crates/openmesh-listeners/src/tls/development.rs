//! A certificate authority of the node's own, for development: made once, in a folder, and the certificate it
//! signs for the node, renewed before it ends.

use super::certificates::{read, read_chain};
use super::{CertificateFiles, TlsFault};
use openmesh_message::Digest;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{ServerName, UnixTime};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_DAYS: u32 = 3_650;
/// Some clients take no certificate of a longer life.
const CERTIFICATE_DAYS: u32 = 397;
/// A certificate with less life left is renewed.
pub const RENEW_DAYS_LEFT: u32 = 30;
/// A clock that is a little behind must not lock anybody out.
const BACKDATED: Duration = DAY;
const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;

/// The files of a development authority.
#[derive(Clone, Debug)]
pub struct Development {
    folder: PathBuf,
}

/// What had to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Nothing: everything was there and good.
    Nothing,
    /// The certificate was made, or made anew.
    Certificate,
    /// The authority too: those who trusted the one before must be given this one.
    Authority,
}

impl Development {
    /// An authority whose files are in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The authority's certificate, for clients to trust.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The node's certificate and key.
    pub fn files(&self) -> CertificateFiles {
        CertificateFiles {
            certificate: self.folder.join("server.pem"),
            key: self.folder.join("server-key.pem"),
        }
    }

    /// Makes what is missing, so that there is a certificate for these names and addresses with life left in it.
    /// What no certificate could bear is passed over.
    pub fn ensure(&self, names: &[String]) -> Result<Made, TlsFault> {
        let names: Vec<_> =
            names.iter().filter(|name| ServerName::try_from(name.as_str()).is_ok()).cloned().collect();
        let names = names.as_slice();
        if self.holds(names) {
            return Ok(Made::Nothing);
        }
        let mut folder = DirBuilder::new();
        let made = folder.recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|source| TlsFault::Write { file: self.folder.display().to_string(), source })?;
        if let Some(key) = self.authority_key() {
            self.certify(&key, names)?;
            if self.holds(names) {
                return Ok(Made::Certificate);
            }
        }
        let key = KeyPair::generate()?;
        let authority = authority_params(&key)?.self_signed(&key)?;
        write(&self.authority_key_file(), SECRET_MODE, &key.serialize_pem())?;
        write(&self.authority(), PUBLIC_MODE, &authority.pem())?;
        self.certify(&key, names)?;
        Ok(Made::Authority)
    }

    fn authority_key_file(&self) -> PathBuf {
        self.folder.join("ca-key.pem")
    }

    fn authority_key(&self) -> Option<KeyPair> {
        let pem = fs::read_to_string(self.authority_key_file()).ok()?;
        KeyPair::from_pem(&pem).ok()
    }

    fn certify(&self, authority: &KeyPair, names: &[String]) -> Result<(), TlsFault> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.not_before = (SystemTime::now() - BACKDATED).into();
        params.not_after = (SystemTime::now() + DAY * CERTIFICATE_DAYS).into();
        params.distinguished_name.push(DnType::CommonName, "OpenMesh node (development)");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer_params = authority_params(authority)?;
        let certificate = params.signed_by(&key, &Issuer::from_params(&issuer_params, authority))?;
        let files = self.files();
        write(&files.key, SECRET_MODE, &key.serialize_pem())?;
        write(&files.certificate, PUBLIC_MODE, &certificate.pem())
    }

    /// Whether a client that trusts the authority will accept the certificate for a name for so many days.
    pub fn is_good_for(&self, name: &str, days: u32) -> bool {
        self.verifies(name, DAY * days).is_some()
    }

    fn holds(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.is_good_for(name, RENEW_DAYS_LEFT))
    }

    fn verifies(&self, name: &str, ahead: Duration) -> Option<()> {
        read(&self.files()).ok()?;
        let mut roots = RootCertStore::empty();
        roots.add(read_chain(&self.authority()).ok()?.into_iter().next()?).ok()?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
        let chain = read_chain(&self.files().certificate).ok()?;
        let (certificate, intermediates) = chain.split_first()?;
        let name = ServerName::try_from(name.to_owned()).ok()?;
        let later = Duration::from_secs(UnixTime::now().as_secs()) + ahead;
        let later = UnixTime::since_unix_epoch(later);
        verifier.verify_server_cert(certificate, intermediates, &name, &[], later).ok().map(drop)
    }
}

/// The authority's certificate but for its time: its key alone decides it, so that it need not be read back.
fn authority_params(key: &KeyPair) -> Result<CertificateParams, TlsFault> {
    let short: String = Digest::of(key.public_key_raw()).to_string().chars().take(8).collect();
    let mut params = CertificateParams::new(Vec::new())?;
    params.not_before = (SystemTime::now() - BACKDATED).into();
    params.not_after = (SystemTime::now() + DAY * AUTHORITY_DAYS).into();
    params.distinguished_name.push(DnType::CommonName, format!("OpenMesh development authority {short}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

/// Writes a file, whole or not at all.
fn write(path: &Path, mode: u32, text: &str) -> Result<(), TlsFault> {
    let half_written = path.with_extension("writing");
    let written = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&half_written)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&half_written, path)
    };
    written().map_err(|source| TlsFault::Write { file: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::{CERTIFICATE_DAYS, Development, Made, RENEW_DAYS_LEFT};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_authority_is_made_once_and_the_certificate_anew_when_it_does_not_do() {
        let folder = tempfile::tempdir().unwrap();
        let development = Development::new(folder.path().join("tls"));
        let usual = names(&["localhost", "127.0.0.1", "::1", "no name"]);
        assert_eq!(development.ensure(&usual).unwrap(), Made::Authority);
        assert_eq!(development.ensure(&usual).unwrap(), Made::Nothing);
        let authority = fs::read(development.authority()).unwrap();
        let more = names(&["localhost", "192.0.2.7"]);
        assert_eq!(development.ensure(&more).unwrap(), Made::Certificate);
        assert!(development.is_good_for("192.0.2.7", RENEW_DAYS_LEFT));
        assert!(!development.is_good_for("192.0.2.7", CERTIFICATE_DAYS + 1), "it ends");
        assert!(!development.is_good_for("elsewhere", 0));
        assert_eq!(fs::read(development.authority()).unwrap(), authority);
        fs::write(development.files().key, "broken").unwrap();
        assert_eq!(development.ensure(&more).unwrap(), Made::Certificate);
        fs::remove_file(development.authority()).unwrap();
        assert_eq!(development.ensure(&more).unwrap(), Made::Authority);
    }

    #[test]
    fn only_the_owner_reads_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        let development = Development::new(folder.path().join("tls"));
        development.ensure(&names(&["localhost"])).unwrap();
        for key in [development.files().key, development.authority_key_file()] {
            assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
