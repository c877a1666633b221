//! A flood of half-open handshakes: honest clients go on connecting, from elsewhere and from the same source.

use crate::node::{Node, new_key};
use openmesh_sdk::Mesh;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// Connections that the attacker keeps open, none of which ever says who it is.
const HALF_OPEN: usize = 5_000;
/// An attacker whose connection was ended comes back after this, and up to as long again.
const COMES_BACK_AFTER: Duration = Duration::from_secs(1);
/// What the node holds of one source at most, and those it has ended that have not noticed yet.
const HELD_MAX: usize = 1_024 + 256;
const HONEST: usize = 1_000;
const HONEST_MIN: usize = 990;
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The first bytes of a TLS ClientHello that never ends.
const HALF_A_HELLO: [u8; 11] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

/// Opens connections from an address for as long as it lives.
struct Flood {
    attackers: JoinSet<()>,
    open: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
}

impl Flood {
    fn start(source: Ipv4Addr, node: SocketAddr) -> Self {
        let (open, opened) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut attackers = JoinSet::new();
        for number in 0..HALF_OPEN {
            let (open, opened) = (Arc::clone(&open), Arc::clone(&opened));
            attackers.spawn(async move {
                loop {
                    if hold_half_open(source, node, number, &open, &opened).await.is_err() {
                        tokio::time::sleep(COMES_BACK_AFTER).await;
                    }
                }
            });
        }
        Self { attackers, open, opened }
    }

    async fn until_all_were_opened(&self) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.opened.load(Ordering::Relaxed) < HALF_OPEN {
            assert!(Instant::now() < until, "the flood did not get under way");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Connects, says nothing or half a hello, and waits for the node to end it.
async fn hold_half_open(
    source: Ipv4Addr,
    node: SocketAddr,
    number: usize,
    open: &AtomicUsize,
    opened: &AtomicUsize,
) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::V4(source), 0).into())?;
    let mut stream = socket.connect(node).await?;
    open.fetch_add(1, Ordering::Relaxed);
    opened.fetch_add(1, Ordering::Relaxed);
    if number.is_multiple_of(2) {
        let _ = stream.write_all(&HALF_A_HELLO).await;
    }
    let _ = stream.read(&mut [0; 64]).await;
    open.fetch_sub(1, Ordering::Relaxed);
    // The node's end is gone; this one stays a while, as a careless attacker's would.
    tokio::time::sleep(COMES_BACK_AFTER.mul_f64(1.0 + number as f64 / HALF_OPEN as f64)).await;
    Ok(())
}

/// How many honest clients connect and are answered, one after the other.
async fn count_honest(node: &Node) -> (usize, Duration) {
    let key = new_key();
    let options = node.options(&key);
    let mut longest = Duration::ZERO;
    let mut connected = 0;
    for _ in 0..HONEST {
        let begun = Instant::now();
        if let Ok(mesh) = Mesh::connect(&options).await
            && mesh.ping().await.is_ok()
        {
            connected += 1;
            longest = longest.max(begun.elapsed());
            mesh.close().await;
        }
    }
    (connected, longest)
}

async fn honest_clients_connect_during_a_flood(source: Ipv4Addr, what: &str) {
    let node = Node::start(&["--tls", "dev"]);
    let mut flood = Flood::start(source, node.endpoint.address);
    flood.until_all_were_opened().await;
    let (connected, longest) = count_honest(&node).await;
    let opened = flood.opened.load(Ordering::Relaxed);
    let open = flood.open.load(Ordering::Relaxed);
    println!(
        "{what}: {connected} of {HONEST} honest clients connected, the slowest in {longest:?}, while {opened} \
         half-open connections came and {open} were held"
    );
    assert!(connected >= HONEST_MIN, "{connected} of {HONEST}");
    assert!(open <= HELD_MAX, "{open} half-open connections were held");
    flood.attackers.shutdown().await;
    assert_eq!(count_honest(&node).await.0, HONEST, "afterwards, all connect");
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_clients_connect_while_another_source_floods() {
    honest_clients_connect_during_a_flood(ELSEWHERE, "flood from another source").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_clients_connect_while_their_own_source_floods() {
    honest_clients_connect_during_a_flood(Ipv4Addr::LOCALHOST, "flood from the same source").await;
}
