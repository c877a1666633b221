//! Frames: what comes in is decoded, what goes out is encoded.

use super::scene::{Kind, LENGTH_BYTES, Scene};
use super::{MESSAGES, Step, work};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use openmesh_core::Effect;
use openmesh_message::Envelope;
use openmesh_message::frame::{
    ClientFrame, Delivery, FrameDecoder, FrameEncoder, FrameError, Heard, Run, RunDelivery, ServerFrame,
};
use openmesh_message::limits::FRAME_BYTES_MAX;
use std::sync::Arc;

pub(super) const STEPS: &[Step] = &[
    Step { name: "decode/kept", open: |_| decode(Kind::Kept) },
    Step { name: "decode/ephemeral", open: |_| decode(Kind::Ephemeral) },
    Step { name: "decode/typed", open: |_| decode(Kind::Typed) },
    Step { name: "decode/act", open: |_| decode(Kind::Act) },
    Step { name: "decode/run", open: |_| decode_runs() },
    Step { name: "encode/kept", open: |_| encode(Kind::Kept) },
    Step { name: "encode/ephemeral", open: |_| encode(Kind::Ephemeral) },
    Step { name: "encode/run", open: |_| encode_runs() },
];

/// The two ends of a connection's way in.
struct Incoming {
    scene: Scene,
    kind: Kind,
    encoder: FrameEncoder,
    decoder: FrameDecoder,
}

/// One end of a connection's way in, and of another's way out.
struct Passing {
    incoming: Incoming,
    encoder: FrameEncoder,
    buffer: Vec<u8>,
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
    let decode = |incoming: &mut Incoming, body: Bytes| match incoming.decoder.hear(&body) {
        Ok(Heard::Sent(sent)) => sent.into_messages(),
        _ => Vec::new(),
    };
    work(Incoming::of(kind)?, Incoming::body, decode, Vec::<(u64, Envelope)>::len)
}

/// A frame of messages that are alike is read, and they stay as they came.
fn decode_runs() -> Result<Box<dyn super::Rounds>> {
    let hear = |incoming: &mut Incoming, body: Bytes| incoming.decoder.hear(&body);
    work(Incoming::of_runs()?, Incoming::body, hear, |heard| match heard {
        Ok(Heard::Sent(sent)) => sent.runs.iter().map(|(_, run)| run.len()).sum(),
        _ => 0,
    })
}

/// Runs become deliveries of one subscription.
fn encode_runs() -> Result<Box<dyn super::Rounds>> {
    let passing = Passing {
        incoming: Incoming::of_runs()?,
        encoder: FrameEncoder::default(),
        buffer: Vec::with_capacity(FRAME_BYTES_MAX),
    };
    let encode = |passing: &mut Passing, runs: Vec<RunDelivery>| {
        let Passing { encoder, buffer, .. } = passing;
        let encoded: Result<(), FrameError> = runs.iter().try_for_each(|run| encoder.encode_run(run, buffer));
        (encoded, runs)
    };
    work(passing, Passing::deliveries, encode, |(encoded, runs)| match encoded {
        Ok(()) => runs.iter().map(|run| run.messages).sum(),
        Err(_) => 0,
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
    fn of(kind: Kind) -> Result<Self> {
        let (encoder, decoder) = (FrameEncoder::default(), FrameDecoder::default());
        Ok(Self { scene: Scene::new()?, kind, encoder, decoder })
    }

    /// One whose form is known.
    fn of_runs() -> Result<Self> {
        let mut incoming = Self::of(Kind::Ephemeral)?;
        incoming.runs().map(|_| incoming)
    }

    fn body(&mut self) -> Result<Bytes> {
        let messages = (0..).zip(self.scene.envelopes(self.kind)?).collect();
        let mut frame = Vec::new();
        self.encoder.encode_client(&ClientFrame::Send(messages), &mut frame)?;
        Ok(frame.get(LENGTH_BYTES..).context("a frame holds more than its length")?.to_vec().into())
    }

    fn runs(&mut self) -> Result<Vec<Run>> {
        let body = self.body()?;
        let Heard::Sent(sent) = self.decoder.hear(&body)? else { bail!("no sends") };
        Ok(sent.runs.into_iter().map(|(_, run)| run).collect())
    }
}

impl Passing {
    fn deliveries(&mut self) -> Result<Vec<RunDelivery>> {
        self.buffer.clear();
        let mut number = 1;
        let mut delivery = |run: Run| {
            let (messages, first) = (run.len(), number);
            number += messages as u64;
            RunDelivery { subscription: 1, number: first, run: Arc::new(run), messages }
        };
        Ok(self.incoming.runs()?.into_iter().map(&mut delivery).collect())
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
