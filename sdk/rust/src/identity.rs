//! Keys of agents: making one, and keeping it in a file that only its owner can read.

use crate::SdkError;
use data_encoding::BASE64URL_NOPAD;
use openmesh_message::KeyPair;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// What the one line of a key file begins with; its end is the form's version.
const PREFIX: &str = "openmesh-ed25519-seed-v1:";
const FAMILY: &str = "openmesh-ed25519-seed-";
const MODE: u32 = 0o600;
const FOREIGN_BITS: u32 = 0o077;
const FILE_BYTES_MAX: u64 = 256;

/// Draws a key pair at random.
pub fn new_key() -> Result<KeyPair, SdkError> {
    let mut seed = Zeroizing::new([0; 32]);
    loop {
        getrandom::fill(seed.as_mut())?;
        // Fails for no seed that is ever drawn: the public key would have to be of small order.
        if let Ok(key) = KeyPair::from_seed(&seed) {
            return Ok(key);
        }
    }
}

/// Reads a key pair; refuses a file that others than its owner can read.
pub fn load(path: &Path) -> Result<KeyPair, SdkError> {
    let refuse = |why: &str| key_file(path, why);
    let text = read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refuse("there is no such file; make a key with `openmesh agent new`"),
        ErrorKind::PermissionDenied => refuse(&error.to_string()),
        _ => refuse(&format!("it cannot be read: {error}")),
    })?;
    let Some(encoded) = text.trim_end().strip_prefix(PREFIX) else {
        return Err(refuse(if text.starts_with(FAMILY) {
            "it was written by a newer version; update this program"
        } else {
            "it holds no key; its one line begins openmesh-ed25519-seed-v1:"
        }));
    };
    let mut seed = Zeroizing::new([0_u8; 32]);
    let mut decoded = BASE64URL_NOPAD.decode(encoded.as_bytes()).unwrap_or_default();
    let fits = decoded.len() == seed.len();
    if fits {
        seed.copy_from_slice(&decoded);
    }
    decoded.zeroize();
    if !fits {
        return Err(refuse("its seed is not 32 bytes in base64url"));
    }
    KeyPair::from_seed(&seed).map_err(|error| refuse(&error.to_string()))
}

/// Writes a key pair to a file of mode 0600 that does not exist yet.
pub fn save(key: &KeyPair, path: &Path) -> Result<(), SdkError> {
    let encoded = Zeroizing::new(BASE64URL_NOPAD.encode(key.seed().as_ref()));
    let line = Zeroizing::new(format!("{PREFIX}{}\n", encoded.as_str()));
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(MODE);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => key_file(path, "it exists and is never overwritten"),
        _ => key_file(path, &format!("it cannot be made: {error}")),
    })?;
    let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| key_file(path, &format!("it cannot be written: {error}")))
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & FOREIGN_BITS != 0 {
        let why = format!(
            "others can read or change it (mode {:04o}): `chmod 600` it, and consider the key known",
            mode & 0o7777
        );
        return Err(io::Error::new(ErrorKind::PermissionDenied, why));
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn key_file(path: &Path, why: &str) -> SdkError {
    SdkError::KeyFile { path: path.display().to_string(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{load, new_key, save};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_saved_key_comes_back_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let key = new_key().unwrap();
        save(&key, &path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(load(&path).unwrap().id(), key.id());
        let before = fs::read(&path).unwrap();
        let refused = save(&new_key().unwrap(), &path).unwrap_err();
        assert!(refused.to_string().contains("never overwritten"));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        save(&new_key().unwrap(), &path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = load(&path).err().unwrap().to_string();
            assert!(refused.contains("chmod 600"), "{refused}");
        }
    }

    #[test]
    fn other_contents_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        for (text, why) in [
            ("openmesh-ed25519-seed-v2:AAAA\n", "newer version"),
            ("hello", "holds no key"),
            ("openmesh-ed25519-seed-v1:AAAA", "not 32 bytes"),
        ] {
            let path = folder.path().join(why.replace(' ', "-"));
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let refused = load(&path).err().unwrap().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let missing = load(&folder.path().join("none")).err().unwrap();
        assert!(missing.to_string().contains("openmesh agent new"));
    }
}
