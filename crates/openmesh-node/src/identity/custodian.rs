//! The file with the secret that the keys kept for agents are made from. Whoever has it can sign for every one of them.

use super::{random_bytes, write_private};
use anyhow::{Context, Result, bail};
use data_encoding::BASE64URL_NOPAD;
use openmesh_message::Custodian;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// What the one line of the file begins with; its end is the form's version.
const PREFIX: &str = "openmesh-custodian-secret-v1:";
const FAMILY: &str = "openmesh-custodian-secret-";
const FOREIGN_BITS: u32 = 0o077;
const FILE_BYTES_MAX: u64 = 256;

/// Reads the secret, or draws one where there is none.
pub(crate) fn load_or_make(path: &Path) -> Result<Custodian> {
    match File::open(path) {
        Ok(file) => load(file, path),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn load(file: File, path: &Path) -> Result<Custodian> {
    let path = path.display();
    if file.metadata()?.permissions().mode() & FOREIGN_BITS != 0 {
        bail!(
            "{path}: others can read or change it: `chmod 600` it, and consider the keys made from it known"
        );
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("cannot read {path}"))?;
    let Some(encoded) = text.trim_end().strip_prefix(PREFIX) else {
        if text.starts_with(FAMILY) {
            bail!("{path} was written by a newer version; update this program");
        }
        bail!("{path} holds no custodian's secret; its one line begins {PREFIX}");
    };
    let decoded = Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).unwrap_or_default());
    let Ok(secret) = <[u8; 32]>::try_from(decoded.as_slice()) else {
        bail!("{path}: the secret is not 32 bytes in base64url");
    };
    Ok(Custodian::new(secret))
}

fn make(path: &Path) -> Result<Custodian> {
    let secret = Zeroizing::new(random_bytes()?);
    let encoded = Zeroizing::new(BASE64URL_NOPAD.encode(secret.as_slice()));
    write_private(path, Zeroizing::new(format!("{PREFIX}{}\n", encoded.as_str())).as_bytes())?;
    Ok(Custodian::new(*secret))
}

#[cfg(test)]
mod tests {
    use super::load_or_make;
    use openmesh_message::Digest;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_drawn_once_and_read_back_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("custodian.key");
        let nonce = Digest::of(b"nonce");
        let made = load_or_make(&path).unwrap().derive(&nonce).unwrap().id();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(load_or_make(&path).unwrap().derive(&nonce).unwrap().id(), made);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let refused = load_or_make(&path).err().unwrap().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
    }
}
