//! Frames: what comes in is decoded, what goes out is encoded.

use super::scene::{Kind, LENGTH_BYTES, Scene};
use super::{MESSAGES, Step, work};
use anyhow::{Context, Result, ensure};
use openmesh_core::Effect;
use openmesh_message::frame::{ClientFrame, Delivery, FrameDecoder, FrameEncoder, ServerFrame};
use openmesh_message::limits::FRAME_BYTES_MAX;

pub(super) const STEPS: &[Step] = &[
    Step { name: "decode/kept", open: |_| decode(Kind::Kept) },
    Step { name: "decode/ephemeral", open: |_| decode(Kind::Ephemeral) },
    Step { name: "decode/typed", open: |_| decode(Kind::Typed) },
    Step { name: "decode/act", open: |_| decode(Kind::Act) },
    Step { name: "encode/kept", open: |_| encode(Kind::Kept) },
    Step { name: "encode/ephemeral", open: |_| encode(Kind::Ephemeral) },
];

/// The two ends of a connection's way in.
struct Incoming {
    scene: Scene,
    kind: Kind,
    encoder: FrameEncoder,
    decoder: FrameDecoder,
}

/// One end of a connection's way out.
struct Outgoing {
    scene: Scene,
    kind: Kind,
    encoder: FrameEncoder,
    buffer: Vec<u8>,
    number: u64,
}

/// A frame of messages becomes messages.
fn decode(kind: Kind) -> Result<Box<dyn super::Rounds>> {
    let incoming = Incoming {
        scene: Scene::new()?,
        kind,
        encoder: FrameEncoder::default(),
        decoder: FrameDecoder::default(),
    };
    let decode = |incoming: &mut Incoming, body: Vec<u8>| {
        let frame = incoming.decoder.decode_client(&body);
        (frame, body)
    };
    work(incoming, Incoming::body, decode, |(frame, _)| match frame {
        Ok(ClientFrame::Send(messages)) => messages.len(),
        _ => 0,
    })
}

/// Deliveries of one subscription become a frame.
fn encode(kind: Kind) -> Result<Box<dyn super::Rounds>> {
    let mut scene = Scene::new()?;
    scene.listen_to_kept()?;
    let outgoing = Outgoing {
        scene,
        kind,
        encoder: FrameEncoder::default(),
        buffer: Vec::with_capacity(FRAME_BYTES_MAX),
        number: 0,
    };
    let encode = |outgoing: &mut Outgoing, frame: ServerFrame| {
        let encoded = outgoing.encoder.encode_server(&frame, &mut outgoing.buffer);
        (encoded, frame)
    };
    work(outgoing, Outgoing::deliveries, encode, |(encoded, _)| if encoded.is_ok() { MESSAGES } else { 0 })
}

impl Incoming {
    fn body(&mut self) -> Result<Vec<u8>> {
        let messages = (0..).zip(self.scene.envelopes(self.kind)?).collect();
        let mut frame = Vec::new();
        self.encoder.encode_client(&ClientFrame::Send(messages), &mut frame)?;
        Ok(frame.get(LENGTH_BYTES..).context("a frame holds more than its length")?.to_vec())
    }
}

impl Outgoing {
    fn deliveries(&mut self) -> Result<ServerFrame> {
        self.buffer.clear();
        let effects = self.scene.plans(self.kind)?.into_iter().flat_map(|plan| plan.effects);
        let mut deliveries = Vec::with_capacity(MESSAGES);
        for effect in effects {
            if let Effect::Deliver(deliver) = effect {
                self.number += 1;
                let (subscription, number) = (deliver.subscription, self.number);
                deliveries.push(Delivery::Message { subscription, number, envelope: deliver.envelope });
            }
        }
        ensure!(deliveries.len() == MESSAGES, "{} deliveries", deliveries.len());
        Ok(ServerFrame::Deliver(deliveries))
    }
}
