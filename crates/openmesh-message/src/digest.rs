//! SHA-256 digests, the identity of everything immutable.

use crate::text_form::as_bytes32;
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Most values that are digested as CBOR take less.
pub(crate) const ENCODED_BYTES_ABOUT: usize = 384;

/// A SHA-256 digest; its text form is base64url without padding (43 characters).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of nothing that exists: the chain value before the first record.
    pub const ZERO: Self = Self([0; 32]);

    /// Wraps bytes that already are a SHA-256 digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// SHA-256 of the parts, one after the other.
    pub(crate) fn of_all(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        Self(hash.finalize().into())
    }

    /// SHA-256 of `context`, a zero byte and then the parts: one digest, one meaning.
    pub fn of_parts(context: &str, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(context.as_bytes());
        hash.update([0]);
        for part in parts {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// SHA-256 of `context`, a zero byte and the CBOR of a value, which is nowhere kept.
    pub(crate) fn of_encoded(context: &str, value: &impl minicbor::Encode<()>) -> Self {
        // In one piece: a hash takes many small ones slowly. Writing to memory cannot fail.
        let mut bytes = Vec::with_capacity(ENCODED_BYTES_ABOUT);
        let _ = minicbor::encode(value, &mut bytes);
        Self::of_parts(context, &[&bytes])
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256 digest in base64url without padding (43 characters)")]
pub struct DigestError(String);

/// Of a digest's text.
const TEXT_BYTES: usize = 43;

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT_BYTES];
        data_encoding::BASE64URL_NOPAD.encode_mut(&self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        data_encoding::BASE64URL_NOPAD
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| DigestError(crate::limits::excerpt(text)))
    }
}

as_bytes32!(Digest, |bytes| Ok::<_, Infallible>(Digest(bytes)));

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn text_form_round_trips_and_bad_text_is_refused() {
        let digest = Digest::of(b"openmesh");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("not a digest".parse::<Digest>().is_err());
        assert!(digest.to_string()[..42].parse::<Digest>().is_err());
    }

    #[test]
    fn contexts_separate() {
        assert_ne!(Digest::of_parts("a", &[b"b"]), Digest::of_parts("ab", &[b""]));
    }
}
