//! What a node says of its load, as Prometheus reads it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Classes of messages, in the order of shedding.
pub(super) const CLASSES: [&str; 4] =
    ["passing_stranger", "passing_registered", "kept_stranger", "kept_registered"];

/// Every sample by its name and labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Asks a node.
    pub(super) fn of(at: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(at).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let samples = answer.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.filter_map(|line| line.rsplit_once(' '));
        Self(samples.filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?))).collect())
    }

    /// The sum of the samples of a name whose labels hold this.
    pub(super) fn total(&self, name: &str, label: &str) -> f64 {
        let is_meant = |key: &str| key.split('{').next() == Some(name) && key.contains(label);
        self.0.iter().filter(|(key, _)| is_meant(key)).map(|(_, value)| value).sum()
    }

    /// How much was shed of each class.
    pub(super) fn shed(&self) -> [f64; 4] {
        CLASSES.map(|class| self.total("openmesh_shed_messages_total", &format!("\"{class}\"")))
    }

    /// The pressure that a sign makes.
    pub(super) fn pressure(&self, sign: &str) -> f64 {
        self.total("openmesh_overload_pressure", &format!("\"{sign}\""))
    }
}
