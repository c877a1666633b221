//! A hot topic and a thousand quiet ones: who sends little does not wait behind who sends much.

use super::flow::FRAME;
use super::seconds;
use crate::node::Node;
use openmesh_sdk::{Envelope, Mesh, Performative, Start};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const HOT_SECONDS: &str = "OPENMESH_HOT_SECONDS";
const HOT_SHORT: u64 = 3;
/// Connections that send to the hot topic as fast as they can.
const HOT: usize = 8;
/// Frames of each that are under way: as many as a node takes from one connection before it has decided any.
const UNDER_WAY: usize = 32;
const QUIET_TOPICS: usize = 1_000;

fn signed(mesh: &Mesh) -> Vec<Envelope> {
    let drafts = (0..FRAME).map(|_| {
        let draft = mesh.draft("topic:kept/hot", &Performative::Inform).unwrap();
        draft.payload("application/octet-stream", vec![7; 256])
    });
    mesh.sign_batch(drafts.collect()).unwrap()
}

/// Keeps so many frames under way; the times they took.
async fn send_hot(mesh: Mesh, stop: Arc<AtomicBool>, times: Arc<Mutex<Vec<Duration>>>) {
    while !stop.load(Ordering::Relaxed) {
        let mut under_way = Vec::new();
        for _ in 0..UNDER_WAY {
            let (mesh, times) = (mesh.clone(), Arc::clone(&times));
            let envelopes = signed(&mesh);
            under_way.push(tokio::spawn(async move {
                let begun = Instant::now();
                let sent = mesh.send_batch(envelopes).await.unwrap();
                times.lock().unwrap().push(begun.elapsed());
                assert!(sent.iter().all(openmesh_sdk::Sent::is_accepted), "{:?}", sent.first());
            }));
        }
        for frame in under_way {
            frame.await.unwrap();
        }
    }
}

/// Sends to the quiet topics in turn, one message at a time; the times until each was delivered.
async fn send_quiet(writer: &Mesh, reader: &Mesh, time: Duration) -> Vec<Duration> {
    let mut subscription = reader.subscribe("topic:quiet/*", Start::Next).await.unwrap();
    let (begun, mut times) = (Instant::now(), Vec::new());
    for number in (0..QUIET_TOPICS).cycle() {
        let draft = writer.draft(&format!("topic:quiet/{number}"), &Performative::Inform).unwrap();
        let envelope = writer.unsigned(draft.payload("application/octet-stream", vec![7; 64])).unwrap();
        let sent = Instant::now();
        let pending = writer.submit(envelope).await.unwrap();
        subscription.next_message().await.unwrap();
        times.push(sent.elapsed());
        drop(pending);
        if begun.elapsed() > time {
            break;
        }
    }
    times
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_topic_makes_a_thousand_quiet_ones_wait_little() {
    let node = Node::start(&["--pin", "kept/**"]);
    let (_, writer) = node.agent("writer").await;
    let (_, reader) = node.agent("reader").await;
    let time = seconds(HOT_SECONDS, HOT_SHORT);
    let mut alone = send_quiet(&writer, &reader, time / 3).await;
    let (stop, hot_times) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let mut hot = Vec::new();
    for number in 0..HOT {
        let (_, mesh) = node.agent(&format!("hot-{number}")).await;
        hot.push(tokio::spawn(send_hot(mesh, Arc::clone(&stop), Arc::clone(&hot_times))));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut beside = send_quiet(&writer, &reader, time).await;
    stop.store(true, Ordering::Relaxed);
    for sender in hot {
        sender.await.unwrap();
    }
    let mut hot_times = std::mem::take(&mut *hot_times.lock().unwrap());
    let hot_median = percentile(&mut hot_times, 50);
    let (median, p99) = (percentile(&mut beside, 50), percentile(&mut beside, 99));
    println!(
        "hot topic: {} frames, a median of {hot_median:?}; {} messages of {QUIET_TOPICS} quiet topics beside it: {median:?}, \
         p99 {p99:?}; alone {:?}, p99 {:?}",
        hot_times.len(),
        beside.len(),
        percentile(&mut alone, 50),
        percentile(&mut alone, 99),
    );
    assert!(median * 2 <= hot_median, "{median:?} for who sends little, {hot_median:?} for who sends much");
    assert!(p99 <= hot_median * 2, "{p99:?}");
}
