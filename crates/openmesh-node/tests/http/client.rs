//! A node that serves HTTP, and a client that writes requests by hand, one connection each.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const READY_WAIT: Duration = Duration::from_secs(60);
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A running node; killed when dropped.
pub(crate) struct Node {
    child: Child,
    home: TempDir,
    pub(crate) http: SocketAddr,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A request in the making.
pub(crate) struct Request {
    http: SocketAddr,
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Node {
    /// Starts a node in a fresh folder.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("node");
        let mut child = Command::new(env!("CARGO_BIN_EXE_openmesh"))
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(&folder)
            .args(arguments)
            .env("OPENMESH_HOME", home.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + READY_WAIT;
        loop {
            let endpoint = std::fs::read(folder.join("endpoint.json")).ok();
            let endpoint = endpoint.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            if let Some(http) = endpoint.and_then(|endpoint| endpoint["http"].as_str()?.parse().ok()) {
                return Self { child, home, http };
            }
            assert!(child.try_wait().unwrap().is_none(), "the node ended before it was ready");
            assert!(Instant::now() < until, "the node was not ready in {READY_WAIT:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The domain's admin token.
    pub(crate) fn admin_token(&self) -> String {
        let path: PathBuf = self.home.path().join("node").join("admin.token");
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// Registers an agent and gives its token.
    pub(crate) fn agent(&self, name: &str, scopes: &[&str]) -> String {
        let asked = json!({"name": name, "scopes": scopes});
        let answer = self.post("/v1/agents").bearer(&self.admin_token()).json(&asked).send();
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    pub(crate) fn post(&self, target: &str) -> Request {
        self.request("POST", target)
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        let line = format!("{method} {target} HTTP/1.1");
        let host = ("Host".to_owned(), self.http.to_string());
        Request { http: self.http, line, headers: vec![host], body: Vec::new() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another value than the one a header has so far.
    pub(crate) fn instead(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.header(name, value)
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    pub(crate) fn body(mut self, media: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", media)
    }

    /// Sends it and reads the whole answer.
    pub(crate) fn send(self) -> Response {
        let mut reader = self.header("Connection", "close").open();
        let (status, headers) = read_head(&mut reader);
        let mut body = Vec::new();
        reader.read_to_end(&mut body).unwrap();
        Response { status, headers, body }
    }

    /// Sends it and leaves the answer to be read.
    pub(crate) fn open(self) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(ANSWER_WAIT)).unwrap();
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        stream.write_all(&[text.as_bytes(), b"\r\n", &self.body].concat()).unwrap();
        BufReader::new(stream)
    }
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The code of a problem, which has its status and media type.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("Content-Type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// Reads status and headers.
pub(crate) fn read_head(reader: &mut BufReader<TcpStream>) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { return (status, headers) };
        headers.push((name.to_owned(), value.to_owned()));
    }
}
