//! Whose certificates are believed: those of an authority in a file, or of this machine's authorities.

use anyhow::Result;
use openmesh_sdk::{SdkError, Tls};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What stands for this machine's authorities.
const SYSTEM: &str = "system";

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub(crate) enum Trust {
    /// This machine's authorities'.
    System,
    /// Those of the authorities in a PEM file.
    File(PathBuf),
}

impl Trust {
    /// The same from wherever the program is run.
    pub(super) fn absolute(&self) -> Self {
        match self {
            Self::System => Self::System,
            Self::File(file) => Self::File(std::path::absolute(file).unwrap_or_else(|_| file.clone())),
        }
    }

    /// TLS that believes them.
    pub(crate) fn tls(&self) -> Result<Tls, SdkError> {
        match self {
            Self::System => Tls::trusting_this_machine(),
            Self::File(file) => Tls::trusting(file),
        }
    }
}

impl From<PathBuf> for Trust {
    fn from(file: PathBuf) -> Self {
        if file == Path::new(SYSTEM) { Self::System } else { Self::File(file) }
    }
}

impl From<Trust> for PathBuf {
    fn from(trust: Trust) -> Self {
        match trust {
            Trust::System => SYSTEM.into(),
            Trust::File(file) => file,
        }
    }
}

impl FromStr for Trust {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(PathBuf::from(text).into())
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("this machine's authorities"),
            Self::File(file) => write!(f, "{}", file.display()),
        }
    }
}
