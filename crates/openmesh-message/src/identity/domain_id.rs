//! Domain ids: the self-certifying name of whoever runs nodes and makes rules.

use super::IdentityError;
use crate::text_form::as_bytes32;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

const TEXT_CHARS: usize = 53;

/// SHA-256 of a domain's inception record; its text form is multibase base32, lower case: `b…`, 53 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DomainId([u8; 32]);

impl DomainId {
    /// Wraps the digest of an inception record.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upper = data_encoding::BASE32_NOPAD.encode(&self.0);
        write!(f, "b{}", upper.to_ascii_lowercase())
    }
}

impl fmt::Debug for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DomainId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let refused = || IdentityError::NotDomainId(crate::limits::excerpt(text));
        let encoded = text.strip_prefix('b').ok_or_else(refused)?;
        if text.len() != TEXT_CHARS || encoded.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refused());
        }
        data_encoding::BASE32_NOPAD
            .decode(encoded.to_ascii_uppercase().as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(refused)
    }
}

as_bytes32!(DomainId, |bytes| Ok::<_, Infallible>(DomainId(bytes)));

#[cfg(test)]
mod tests {
    use super::DomainId;

    #[test]
    fn text_form_has_53_lower_case_characters_and_round_trips() {
        let id = DomainId::from_bytes([7; 32]);
        let text = id.to_string();
        assert_eq!(text.len(), 53);
        assert_eq!(text.parse(), Ok(id));
        assert!(text.to_uppercase().parse::<DomainId>().is_err());
        assert!(text[..52].parse::<DomainId>().is_err());
    }
}
