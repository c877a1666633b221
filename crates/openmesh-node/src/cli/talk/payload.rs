//! Payloads as people write them: text, `@file`, or `-` for what comes on stdin.

use crate::cli::failure::Failure;
use anyhow::{Context, Result};
use openmesh_message::json;
use openmesh_message::limits::FRAME_BYTES_MAX;
use openmesh_sdk::{Draft, canonical_json};
use std::fs::File;
use std::io::{self, Read};

/// A payload, ready to go into messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// RFC 8785 JSON.
    Json(Vec<u8>),
    /// Anything else.
    Text(Vec<u8>),
}

impl Payload {
    /// Reads what an argument means; what is JSON is sent as JSON.
    pub(crate) fn read(argument: &str) -> Result<Self> {
        let bytes = match argument.strip_prefix('@') {
            Some(path) => read_bytes(path, "the payload")?,
            None if argument == "-" => read_bytes("-", "the payload")?,
            None => argument.as_bytes().to_vec(),
        };
        Self::of(bytes)
    }

    /// What bytes mean.
    pub(crate) fn of(bytes: Vec<u8>) -> Result<Self> {
        match json::parse_strict(&bytes) {
            Ok(value) => Ok(Self::Json(canonical_json(&value)?.to_vec())),
            Err(why) if looks_like_json(&bytes) => {
                let next = "text that begins with { or [ is taken for JSON";
                Err(Failure::usage(format!("the payload is no valid JSON: {why}")).next(next).into())
            }
            Err(_) => Ok(Self::Text(bytes)),
        }
    }

    /// Puts the payload into a draft.
    pub(crate) fn put_into(&self, draft: Draft) -> Draft {
        match self {
            Self::Json(bytes) => draft.json(bytes.clone()),
            Self::Text(bytes) => draft.payload("text/plain", bytes.clone()),
        }
    }
}

fn looks_like_json(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Reads a file, or stdin for `-`; at most what a frame can hold.
pub(crate) fn read_bytes(path: &str, what: &str) -> Result<Vec<u8>> {
    if path == "-" {
        return read_all(io::stdin().lock(), what);
    }
    let file = File::open(path).with_context(|| format!("cannot read {what} from {path}"))?;
    read_all(file, what)
}

fn read_all(source: impl Read, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = source.take(FRAME_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {what}"))?;
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(Failure::usage(format!("{what} is larger than {FRAME_BYTES_MAX} bytes")).into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::Payload;

    #[test]
    fn json_is_sent_as_json_and_text_as_text() {
        assert_eq!(Payload::read(r#"{"b": 1, "a": 2.0}"#).unwrap(), Payload::Json(r#"{"a":2,"b":1}"#.into()));
        assert_eq!(Payload::read("hello").unwrap(), Payload::Text("hello".into()));
        let broken = Payload::read(r#"{"a": 1, "a": 2}"#).unwrap_err();
        assert!(broken.to_string().contains("no valid JSON"), "{broken}");
        assert!(Payload::read("@/no/such/file").unwrap_err().to_string().contains("/no/such/file"));
    }
}
