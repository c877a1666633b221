//! An end that is away: for less than a minute it finds its stream as it left it, for more its stream has ended. The minute is the
//! node's, whose clock is set forward.

use super::cutting::Way as Line;
use super::{SECOND, open};
use crate::faults::machine::{faketime, not_run};
use crate::node::{Node, Way, new_key};
use openmesh_sdk::{ConnectOptions, Mesh, SdkError, StreamOptions};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Items before the reader is away, and afterwards.
const SOME: u32 = 40;
/// So long the node takes at most to look at its clock.
const LOOKS_WITHIN: Duration = Duration::from_millis(1_500);

async fn agent(node: &Node, name: &str) -> (Mesh, Line) {
    let (key, line) = (new_key(), Line::to(node.endpoint.address).await);
    let options = ConnectOptions { address: line.address, ..node.options(&key) };
    let mesh = Mesh::connect(&options).await.unwrap();
    mesh.register(name, Some(&node.admin_token())).await.unwrap();
    (mesh, line)
}

/// Has a reader go away, and come back when the node's clock says so; whether its stream goes on.
async fn goes_on_after(away: &str, library: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    let set = |to: &str| std::fs::write(&clock, to).unwrap();
    set("+0");
    let way = Way::with(&[]).set("LD_PRELOAD", library.to_str().unwrap());
    let way = way.set("FAKETIME_DONT_FAKE_MONOTONIC", "1").set("FAKETIME_NO_CACHE", "1");
    let way = way.set("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap());
    let node = Node::start_in(folder.path(), way);
    let ((writer, _near), (reader, far)) = (agent(&node, "writer").await, agent(&node, "reader").await);
    let (written, mut read) = open(&writer, &reader, "reader", StreamOptions::default()).await;
    for number in 0..SOME {
        written.send(number.to_be_bytes().to_vec()).await.unwrap();
        assert_eq!(read.next().await.unwrap().unwrap()[..], number.to_be_bytes());
    }
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    far.lead_to(nobody);
    far.cut();
    sleep(SECOND / 2).await;
    set(away);
    sleep(LOOKS_WITHIN).await;
    // Others that come back prove who they are by the time of day.
    set("+0");
    far.lead_to(node.endpoint.address);
    for number in SOME..2 * SOME {
        // Whether it is sent, or the stream has ended, its reader is told.
        let _ = written.send(number.to_be_bytes().to_vec()).await;
    }
    let finished = tokio::spawn(written.finish());
    for number in SOME..2 * SOME {
        match timeout(30 * SECOND, read.next()).await.expect("the reader is told in time") {
            Ok(Some(item)) => assert_eq!(item[..], number.to_be_bytes(), "in order, none twice"),
            Err(SdkError::StreamReset(problem)) => {
                assert_eq!(problem.code, "stream.peer_gone");
                assert_eq!(number, SOME, "an end comes before any item");
                assert!(timeout(30 * SECOND, finished).await.unwrap().unwrap().is_err(), "the writer, too");
                return false;
            }
            other => panic!("{other:?} after item {number}"),
        }
    }
    assert!(timeout(30 * SECOND, read.next()).await.unwrap().unwrap().is_none(), "and then its end");
    timeout(30 * SECOND, finished).await.unwrap().unwrap().unwrap();
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_away_for_less_than_a_minute_goes_on_and_for_more_has_lost_its_stream() {
    let Some(library) = faketime() else { return not_run("away from a stream", "there is no faketime") };
    assert!(goes_on_after("+50", &library).await, "50 s are less than a minute");
    assert!(!goes_on_after("+70", &library).await, "70 s are more than a minute");
    println!(
        "away from a stream: after 50 s it went on without a gap or a repeat, after 70 s it had ended at both ends"
    );
}
