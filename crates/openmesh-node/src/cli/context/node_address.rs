//! Where a node is, as people write it: an address or a name, and a port.

use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use anyhow::Result;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// An address or a name, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeAddress(String);

impl FromStr for NodeAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_named = || {
            let (name, port) = text.rsplit_once(':')?;
            let is_name = !name.is_empty() && !name.contains([':', '/', '[', ']']);
            port.parse::<u16>().ok().filter(|_| is_name)
        };
        if text.parse::<SocketAddr>().is_ok() || is_named().is_some() {
            return Ok(Self(text.to_owned()));
        }
        Err("it is not of the form ADDRESS:PORT or NAME:PORT".to_owned())
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl NodeAddress {
    /// The name, where it is one, for the node's certificate to bear.
    pub(super) fn name(&self) -> Option<&str> {
        let is_numeric = self.0.parse::<SocketAddr>().is_ok();
        self.0.rsplit_once(':').map(|(name, _)| name).filter(|_| !is_numeric)
    }

    /// The first address of the name.
    pub(super) async fn resolve(&self) -> Result<SocketAddr> {
        let unknown = |why: String| {
            let what = format!("{self} cannot be found ({why})");
            Failure::new(Exit::Unreachable, what).next("look at the name given with --node")
        };
        let mut found = tokio::net::lookup_host(&self.0).await.map_err(|error| unknown(error.to_string()))?;
        Ok(found.next().ok_or_else(|| unknown("it has no address".to_owned()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::NodeAddress;

    #[test]
    fn addresses_and_names_have_a_port() {
        for (text, name) in [
            ("127.0.0.1:7447", None),
            ("[::1]:7447", None),
            ("mesh.example.org:7447", Some("mesh.example.org")),
            ("localhost:1", Some("localhost")),
        ] {
            assert_eq!(text.parse::<NodeAddress>().unwrap().name(), name, "{text}");
        }
        for text in ["", ":7447", "mesh.example.org", "127.0.0.1", "::1:7447x", "https://a:1", "a:70000"] {
            assert!(text.parse::<NodeAddress>().is_err(), "{text}");
        }
    }
}
