//! One of each thing that agents and nodes say, for seeds: frames from `spec/vectors`, where every one is kept.

use crate::cast::{NOW, message, node};
use openmesh_message::frame::{ClientFrame, FrameDecoder, ServerFrame};
use openmesh_message::{
    Digest, Envelope, Level, LogName, LogSeq, PartitionId, Position, Receipt, SignedReceipt, Transit,
};
use serde_json::Value;

const FRAMES: &str = include_str!("../../../spec/vectors/frames.json");

/// The bodies of an agent's frames (`client`) or a node's (`server`), in the order of their connection.
pub(crate) fn bodies(side: &str) -> Vec<Vec<u8>> {
    let vectors: Value = serde_json::from_str(FRAMES).unwrap();
    let frames = vectors[side].as_array().unwrap();
    frames.iter().map(|frame| unhex(frame["bytes"].as_str().unwrap()).split_off(4)).collect()
}

/// Frames of one agent.
pub(crate) fn client() -> Vec<ClientFrame> {
    let mut decoder = FrameDecoder::default();
    bodies("client").iter().map(|body| decoder.decode_client(body).unwrap()).collect()
}

/// Frames of one node.
pub(crate) fn server() -> Vec<ServerFrame> {
    let mut decoder = FrameDecoder::default();
    bodies("server").iter().map(|body| decoder.decode_server(body).unwrap()).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A message as it is kept and handed over.
pub(crate) fn kept() -> Envelope {
    let transit = Transit {
        position: Some(position()),
        logs: logs(),
        receivedtime: Some(NOW),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        tracestate: None,
    };
    Envelope { transit, ..message("m-1") }
}

/// Three receipts of one commit.
pub(crate) fn receipts() -> Vec<SignedReceipt> {
    let receipt = |id: u8| Receipt {
        digest: Digest::of(&[id]),
        level: Level::Durable,
        position: Some(position()),
        logs: logs(),
        duplicate: false,
        policy_version: Digest::ZERO,
        at: NOW,
    };
    SignedReceipt::sign_all(&node(), (0..3).map(receipt).collect())
}

fn logs() -> Vec<LogSeq> {
    vec![LogSeq { log: LogName("topic/market/news".into()), seq: 3 }]
}

fn position() -> Position {
    Position { partition: PartitionId(0), epoch: 2, seq: 17 }
}
