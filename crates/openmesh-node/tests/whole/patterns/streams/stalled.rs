//! Readers that stall: what a node holds of their streams, and a writer that would send more.

use super::SECOND;
use crate::node::Node;
use crate::raw_agent::RawAgent;
use openmesh_message::frame::{ClientFrame, ServerFrame, StreamAct, StreamEvent, item_cost};
use openmesh_sdk::{Mesh, Performative, StreamWriter};
use std::time::Duration;
use tokio::time::timeout;

const WINDOW: u64 = 4 * 1024 * 1024;
/// As many as one reader may have windows for.
const STREAMS_PER_READER: u64 = 4;
const READERS: u64 = 4;
/// What a stalled stream may cost besides its window.
const ABOVE_WINDOW: u64 = 64 * 1024;

/// Resident memory of the node's process.
fn resident_bytes(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.endpoint.pid)).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Offers streams to a reader on a bare socket, and writes items until each has to wait; writers that are dropped would break
/// their streams off.
async fn fill(
    writer: &Mesh,
    (reader, name): (&mut RawAgent, &str),
    item_bytes: usize,
    written: &mut Vec<StreamWriter>,
) -> u64 {
    let mut items = 0;
    for stream in 1..=STREAMS_PER_READER {
        let draft = writer.draft(&format!("agent:{name}"), &Performative::Inform).unwrap();
        let offer = writer.sign(draft.stream("application/octet-stream")).unwrap();
        let (sender, id) = (writer.id(), offer.attributes.get("id").unwrap().to_owned());
        let stalled = writer.open_stream(offer).await.unwrap();
        let read = StreamAct::Read { stream, sender, id, from: 0, window: WINDOW };
        reader.write(&ClientFrame::Stream(vec![read])).await;
        while let Ok(sent) = timeout(SECOND / 2, stalled.send(vec![7; item_bytes])).await {
            sent.unwrap();
            items += 1;
        }
        written.push(stalled);
    }
    items
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_costs_its_windows_and_little_more() {
    for item_bytes in [60_000, 100] {
        let node = Node::start(&[]);
        let (_, writer) = node.agent("writer").await;
        let mut readers = Vec::new();
        for number in 0..READERS {
            readers.push(RawAgent::connect(&node, &format!("reader-{number}")).await);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (before, mut items, mut written) = (resident_bytes(&node), 0, Vec::new());
        for (number, reader) in readers.iter_mut().enumerate() {
            let reader = (reader, &*format!("reader-{number}"));
            items += fill(&writer, reader, item_bytes, &mut written).await;
        }
        let grown = resident_bytes(&node).saturating_sub(before);
        let streams = STREAMS_PER_READER * READERS;
        let (held, allowed) = (items * item_cost(item_bytes), streams * (WINDOW + ABOVE_WINDOW));
        println!(
            "{streams} stalled streams of {item_bytes} B items: {items} items, {held} B of {} B of windows; the node grew by {grown} B, {} B a stream",
            streams * WINDOW,
            grown / streams,
        );
        assert!(held > streams * WINDOW * 9 / 10, "the windows are full");
        assert!(grown <= allowed, "{grown} B where {allowed} B are allowed");
    }
}

/// Whoever writes beyond the credit loses the stream, and the node holds nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_ignores_credit_has_its_stream_broken_off() {
    let node = Node::start(&[]);
    let mut writer = RawAgent::connect(&node, "writer").await;
    let (_, reader) = node.agent("reader").await;
    let mut incoming = reader.incoming().unwrap();
    let to = reader.address("agent:reader").unwrap();
    let draft = openmesh_message::Draft::new("feed", openmesh_sdk::now(), &to, &Performative::Inform);
    let offer = draft.stream("text/plain").sign(&writer.key).unwrap();
    writer.send(offer).await.unwrap();
    let offer = super::offered(&mut incoming).await;
    let options = openmesh_sdk::StreamOptions { window: 64 * 1024, from: None };
    let _read = reader.read_stream(&offer, options).unwrap();
    writer
        .write(&ClientFrame::Stream(vec![StreamAct::Write { stream: 1, id: "feed".to_owned(), from: 0 }]))
        .await;
    let run = loop {
        if let ServerFrame::Stream(events) = writer.read_frame().await
            && let [StreamEvent::Go { run, .. }] = events[..]
        {
            break run;
        }
    };
    let cost = item_cost(30_000);
    let items = (0..3).map(|number| StreamAct::Item {
        stream: 1,
        run,
        offset: number * cost,
        item: vec![7; 30_000].into(),
    });
    writer.write(&ClientFrame::Stream(items.collect())).await;
    let said = timeout(10 * SECOND, writer.read_frame()).await.expect("it is told so in time");
    let ServerFrame::Stream(events) = said else { panic!("not of a stream") };
    assert!(
        matches!(&events[..], [StreamEvent::Reset { problem, .. }] if problem.code == "stream.over_credit"),
        "{events:?}"
    );
}
