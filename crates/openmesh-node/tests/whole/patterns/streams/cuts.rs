//! Connections cut at random points, of either end or both, and nodes that are killed: not one item is missing or comes
//! twice.

use super::cutting::Way;
use super::{SECOND, offered};
use crate::node::{Node, new_key};
use openmesh_sdk::{ConnectOptions, Mesh, Performative, StreamOptions, StreamReader, StreamWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// How many resumptions a campaign wants to see.
const CUTS: &str = "OPENMESH_STREAM_CUTS";
const CUTS_IN_A_TEST: u64 = 50;
/// One cut in so many is a node that is killed.
const KILL_EVERY: u64 = 25;
/// Longest that a stream takes to go on.
const RESUMED_WITHIN: Duration = Duration::from_secs(30);

/// Numbers as a seed gives them (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

/// An item: its number, and as many bytes more as the number says.
fn item(number: u64) -> Vec<u8> {
    let mut item = number.to_be_bytes().to_vec();
    item.resize(8 + (number * 131 % 1_500) as usize, number as u8);
    item
}

async fn agent(node: &Node, name: &str) -> (Mesh, Way) {
    let (key, way) = (new_key(), Way::to(node.endpoint.address).await);
    let options = ConnectOptions { address: way.address, ..node.options(&key) };
    let mesh = Mesh::connect(&options).await.unwrap();
    mesh.register(name, Some(&node.admin_token())).await.unwrap();
    (mesh, way)
}

async fn write_until(writer: StreamWriter, stop: Arc<AtomicBool>) -> u64 {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        writer.send(item(number)).await.unwrap();
        number += 1;
    }
    writer.finish().await.unwrap();
    number
}

async fn read_all(mut reader: StreamReader, taken: Arc<AtomicU64>) {
    while let Some(next) = reader.next().await.unwrap() {
        let expected = taken.load(Ordering::Relaxed);
        assert!(next == item(expected), "item {expected} is missing, comes twice or is another");
        taken.store(expected + 1, Ordering::Relaxed);
    }
}

async fn progress_beyond(taken: &AtomicU64, before: u64) -> Duration {
    let since = Instant::now();
    while taken.load(Ordering::Relaxed) <= before {
        assert!(since.elapsed() < RESUMED_WITHIN, "the stream did not go on after item {before}");
        sleep(Duration::from_millis(1)).await;
    }
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_at_random_goes_on_without_a_gap_or_a_repeat() {
    let cuts = std::env::var(CUTS).map_or(CUTS_IN_A_TEST, |count| count.parse().unwrap());
    let mut node = Node::start(&[]);
    let ((writer, near), (reader, far)) = (agent(&node, "writer").await, agent(&node, "reader").await);
    let mut incoming = reader.incoming().unwrap();
    let draft = writer.draft("agent:reader", &Performative::Inform).unwrap();
    let offer = writer.sign(draft.stream("application/octet-stream")).unwrap();
    let written = writer.open_stream(offer).await.unwrap();
    let read = reader.read_stream(&*offered(&mut incoming).await, StreamOptions::default()).unwrap();
    let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let reading = tokio::spawn(read_all(read, Arc::clone(&taken)));
    let writing = tokio::spawn(write_until(written, Arc::clone(&stop)));
    let (mut dice, mut kills, mut longest) = (Dice(0x5eed), 0, Duration::ZERO);
    for cut in 1..=cuts {
        sleep(Duration::from_micros(dice.below(15_000))).await;
        let before = taken.load(Ordering::Relaxed);
        match dice.below(3) {
            _ if cut % KILL_EVERY == 0 => {
                kills += 1;
                node.kill_and_restart();
                near.lead_to(node.endpoint.address);
                far.lead_to(node.endpoint.address);
            }
            0 => near.cut(),
            1 => far.cut(),
            _ => {
                near.cut();
                far.cut();
            }
        }
        // What was unread when it was cut may have been taken since.
        sleep(Duration::from_millis(5)).await;
        longest = longest.max(progress_beyond(&taken, before.max(taken.load(Ordering::Relaxed))).await);
    }
    stop.store(true, Ordering::Relaxed);
    let sent = timeout(60 * SECOND, writing).await.unwrap().unwrap();
    timeout(60 * SECOND, reading).await.unwrap().unwrap();
    let taken = taken.load(Ordering::Relaxed);
    println!(
        "{cuts} resumptions, {kills} of them of a killed node: {sent} items written, {taken} taken, 0 gaps, 0 repeats; longest pause {longest:?}"
    );
    assert_eq!(sent, taken);
    assert!(taken > cuts, "the stream moved between cuts");
}
