//! What a browser could be made to do is refused: other hosts (DNS rebinding) and other origins. There is no CORS.

use super::door::Door;
use super::problem::Failure;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use openmesh_message::Problem;
use std::net::{IpAddr, SocketAddr};

/// Under which names the listener answers.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    address: SocketAddr,
    names: Vec<String>,
    is_tls: bool,
}

impl Hosts {
    /// The listener's own address, loopback names where it is on loopback, and `names`.
    pub(crate) fn new(address: SocketAddr, names: &[String], is_tls: bool) -> Self {
        let names = names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
        Self { address, names, is_tls }
    }

    fn allows(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let default_port = if self.is_tls { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default_port);
        let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        // A configured name may stand for a port in front of ours.
        self.names.contains(&name) || (port == self.address.port() && self.is_own(bare))
    }

    fn is_own(&self, host: &str) -> bool {
        let own = self.address.ip().to_canonical();
        match host.parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                address == own
                    || (own.is_unspecified() && !address.is_unspecified())
                    || (own.is_loopback() && address.is_loopback())
            }
            Err(_) => host == "localhost" && (own.is_loopback() || own.is_unspecified()),
        }
    }

    fn origin(&self, host: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{host}").to_ascii_lowercase()
    }
}

/// Checks `Host`, and `Origin` where there is one.
pub(super) fn check(headers: &HeaderMap, door: &Door) -> Result<(), Failure> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let Some(host) = host.filter(|host| hosts.next().is_none() && door.hosts.allows(host)) else {
        let detail = "this listener does not answer under that host name (openmesh up --http-host NAME)";
        return Err(Problem::new("host.not_allowed", detail).into());
    };
    let foreign = headers.get_all(header::ORIGIN).iter().any(|origin| {
        origin.to_str().map_or(true, |origin| origin.to_ascii_lowercase() != door.hosts.origin(host))
    });
    if foreign {
        return Err(
            Problem::new("origin.not_allowed", "pages of other origins may not call this listener").into()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Hosts;

    #[test]
    fn only_own_names_and_configured_ones_are_allowed() {
        let hosts = Hosts::new("127.0.0.1:7448".parse().unwrap(), &["Mesh.Example.".to_owned()], false);
        for good in ["127.0.0.1:7448", "localhost:7448", "LOCALHOST:7448", "[::1]:7448", "mesh.example:9999"]
        {
            assert!(hosts.allows(good), "{good}");
        }
        for bad in [
            "",
            "evil.example:7448",
            "127.0.0.1",
            "localhost:80",
            "10.0.0.1:7448",
            "a b",
            "localhost.evil:7448",
        ] {
            assert!(!hosts.allows(bad), "{bad}");
        }
        let anywhere = Hosts::new("0.0.0.0:443".parse().unwrap(), &[], true);
        assert!(anywhere.allows("192.0.2.7") && !anywhere.allows("evil.example"));
    }
}
