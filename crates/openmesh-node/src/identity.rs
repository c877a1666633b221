//! The node's folder: the domain's inception, root keys, node key and certificate, admin token, custodian's secret.
//! Made once, mode 0600.

pub(crate) mod custodian;
pub(crate) mod kept;

use anyhow::{Context, Result, bail};
use openmesh_adapter::now;
use openmesh_message::{Certificate, Custodian, Digest, DomainId, Inception, KeyPair};
use openmesh_sdk::identity as key_file;
use openmesh_store::backup::unfinished_import;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CERTIFICATE_DAYS: i64 = 3650;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A clock that was a little ahead when the certificate was made must not lock anybody out.
const CERTIFICATE_BACKDATED_MS: i64 = 60 * 60 * 1000;

/// The paths of a node's folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// All that makes a node who it is.
pub(crate) struct Identity {
    /// The node's key.
    pub(crate) node: Arc<KeyPair>,
    /// Its certificate by the domain.
    pub(crate) certificate: Certificate,
    /// SHA-256 of the admin token.
    pub(crate) admin_token: Digest,
    /// Makes the keys that the node keeps for agents.
    pub(crate) custodian: Custodian,
    /// Whether this start made the domain.
    pub(crate) is_new: bool,
}

impl Folder {
    /// The folder at a path, made if it is not there, readable by its owner only.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    /// Errors: an import into the folder was begun and not ended. A node would begin another log in it.
    pub(crate) fn refuse_unfinished_import(&self) -> Result<()> {
        match unfinished_import(&self.log()) {
            Some(staged) => bail!(
                "an import into this folder was not finished: run `openmesh log import` again, or remove {}",
                staged.display()
            ),
            None => Ok(()),
        }
    }

    /// Where the index of the log is.
    pub(crate) fn projection(&self) -> PathBuf {
        self.0.join("projection")
    }

    /// Where the log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Where the admin token is.
    pub(crate) fn admin_token(&self) -> PathBuf {
        self.0.join("admin.token")
    }

    /// Where a running node says how it is reached.
    pub(crate) fn endpoint(&self) -> PathBuf {
        self.0.join("endpoint.json")
    }

    /// Where the policy is.
    pub(crate) fn policy(&self) -> PathBuf {
        self.0.join("policy.toml")
    }

    /// Where the secret is that the keys kept for agents are made from.
    pub(crate) fn custodian_key(&self) -> PathBuf {
        self.0.join("custodian.key")
    }

    fn certificate(&self) -> PathBuf {
        self.0.join("node.certificate")
    }

    fn node_key(&self) -> PathBuf {
        self.0.join("node.key")
    }

    fn root_key(&self) -> PathBuf {
        self.0.join("domain-root.key")
    }

    fn next_root_key(&self) -> PathBuf {
        self.0.join("domain-next-root.key")
    }
}

impl Identity {
    /// Loads the identity, or makes a domain and certifies its first node.
    pub(crate) fn load_or_make(folder: &Folder) -> Result<Self> {
        if folder.certificate().exists() {
            return Self::load(folder);
        }
        if folder.log().exists() {
            bail!(
                "{} is missing, and the log beside it is that of its domain: put it back from a backup",
                folder.certificate().display()
            );
        }
        Self::make(folder)
    }

    /// The domain's id.
    pub(crate) fn domain(&self) -> DomainId {
        self.certificate.domain()
    }

    fn load(folder: &Folder) -> Result<Self> {
        if !folder.node_key().exists() {
            bail!(
                "{} is missing: the node's keys go there, as from a backup taken --with-keys",
                folder.node_key().display()
            );
        }
        let node = key_file::load(&folder.node_key())?;
        let bytes = fs::read(folder.certificate())?;
        let certificate: Certificate = minicbor::decode(&bytes)
            .with_context(|| format!("{} cannot be read", folder.certificate().display()))?;
        if certificate.node != node.id() {
            bail!("{} is not the certificate of this node's key", folder.certificate().display());
        }
        certificate.verify(&certificate.domain(), now()).context("the node's certificate")?;
        check_roots(folder, &certificate.inception)?;
        let token = fs::read_to_string(folder.admin_token())
            .with_context(|| format!("cannot read {}", folder.admin_token().display()))?;
        let admin_token = Digest::of(token.trim().as_bytes());
        let custodian = custodian::load_or_make(&folder.custodian_key())?;
        Ok(Self { node: Arc::new(node), certificate, admin_token, custodian, is_new: false })
    }

    fn make(folder: &Folder) -> Result<Self> {
        let (root, next_root, node) = (key_file::new_key()?, key_file::new_key()?, key_file::new_key()?);
        let inception = Inception::new(&root, &next_root);
        let start = now().plus_ms(-CERTIFICATE_BACKDATED_MS);
        let end = start.plus_ms(CERTIFICATE_DAYS * DAY_MS);
        let certificate = Certificate::issue(&root, inception, node.id(), start, end);
        let token = random_token()?;
        for (key, path) in
            [(&root, folder.root_key()), (&next_root, folder.next_root_key()), (&node, folder.node_key())]
        {
            if path.exists() {
                fs::remove_file(&path)
                    .with_context(|| format!("left over from a broken start: {}", path.display()))?;
            }
            key_file::save(key, &path)?;
        }
        write_private(&folder.admin_token(), format!("{token}\n").as_bytes())?;
        write_private(&folder.certificate(), &minicbor::to_vec(&certificate).unwrap_or_default())?;
        let admin_token = Digest::of(token.as_bytes());
        let custodian = custodian::load_or_make(&folder.custodian_key())?;
        Ok(Self { node: Arc::new(node), certificate, admin_token, custodian, is_new: true })
    }
}

/// The domain's root keys are needed long after they rotted: whichever is in the folder must be the domain's own.
fn check_roots(folder: &Folder, inception: &Inception) -> Result<()> {
    for (path, is_next) in [(folder.root_key(), false), (folder.next_root_key(), true)] {
        if !path.exists() {
            continue;
        }
        let key = key_file::load(&path)?;
        let made = Inception::new(&key, &key);
        let fits = if is_next { made.next_root == inception.next_root } else { made.root == inception.root };
        if !fits {
            bail!("{} is not a root key of this node's domain: put it back from a backup", path.display());
        }
    }
    Ok(())
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let half_written = path.with_extension("writing");
    let failed = || format!("cannot write {}", path.display());
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&half_written).with_context(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(failed)?;
    fs::rename(&half_written, path).with_context(failed)
}

/// 32 random bytes.
pub(crate) fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

fn random_token() -> Result<String> {
    Ok(Digest::from_bytes(random_bytes()?).to_string())
}
