//! The text form of a proof, for headers and JSON: `ed25519;<keyid>;<signature>`, or for a batch
//! `ed25519-batch;<keyid>;<signature>;<index>;<digest>.<digest>…`. Signatures are base64url without padding.

use super::Proof;
use crate::limits::{PROOF_PATH_MAX, excerpt};
use crate::{AgentId, Digest, Signature};
use data_encoding::BASE64URL_NOPAD;
use std::fmt;
use std::str::FromStr;

const SINGLE: &str = "ed25519";
const BATCH: &str = "ed25519-batch";

/// Why a text is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a proof: ed25519;<keyid>;<signature>, or ed25519-batch;<keyid>;<signature>;<index>;<path>"
)]
pub struct ProofTextError(String);

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single { keyid, signature } => write!(f, "{SINGLE};{keyid};{signature}"),
            Self::Batch { keyid, signature, index, path } => {
                let path: Vec<_> = path.iter().map(ToString::to_string).collect();
                write!(f, "{BATCH};{keyid};{signature};{index};{}", path.join("."))
            }
        }
    }
}

impl FromStr for Proof {
    type Err = ProofTextError;

    fn from_str(text: &str) -> Result<Self, ProofTextError> {
        read(text).ok_or_else(|| ProofTextError(excerpt(text)))
    }
}

fn read(text: &str) -> Option<Proof> {
    let mut parts = text.split(';');
    let (alg, keyid) = (parts.next()?, parts.next()?.parse::<AgentId>().ok()?);
    let signature = parts.next()?.parse::<Signature>().ok()?;
    match (alg, parts.next(), parts.next(), parts.next()) {
        (SINGLE, None, ..) => Some(Proof::Single { keyid, signature }),
        (BATCH, Some(index), Some(path), None) => {
            let number: u32 = index.parse().ok()?;
            let canonical = number.to_string() == index;
            let path = read_path(path).filter(|_| canonical)?;
            Some(Proof::Batch { keyid, signature, index: number, path })
        }
        _ => None,
    }
}

fn read_path(text: &str) -> Option<Vec<Digest>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let path: Option<Vec<_>> = text.split('.').map(|digest| digest.parse().ok()).collect();
    path.filter(|path| path.len() <= PROOF_PATH_MAX)
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(self.as_bytes()))
    }
}

impl FromStr for Signature {
    type Err = ProofTextError;

    fn from_str(text: &str) -> Result<Self, ProofTextError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self::from_bytes).ok_or_else(|| ProofTextError(excerpt(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::Proof;
    use crate::{Digest, KeyPair};

    #[test]
    fn proofs_round_trip_and_other_texts_are_refused() {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let digests: Vec<_> = (0..5_u8).map(|n| Digest::of(&[n])).collect();
        let mut proofs = Proof::sign_batch(&key, &digests);
        proofs.extend(Proof::sign_batch(&key, &digests[..1]));
        proofs.push(Proof::sign(&key, &digests[0]));
        for proof in &proofs {
            let text = proof.to_string();
            assert_eq!(text.parse().as_ref(), Ok(proof), "{text}");
            assert!(format!("{text};").parse::<Proof>().is_err());
            assert!(text[..text.len() - 2].parse::<Proof>().is_err());
        }
        let batch = proofs[0].to_string();
        assert!(batch.replace(";0;", ";00;").parse::<Proof>().is_err(), "one text for one proof");
        assert!(batch.replace("ed25519-batch", "ed25519").parse::<Proof>().is_err());
        let long = format!("{batch}{}", format!(".{}", Digest::ZERO).repeat(9));
        assert!(long.parse::<Proof>().is_err());
    }
}
