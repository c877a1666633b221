//! Requests to an agent and its replies, as native frames that are made before the clock starts.

use super::{Options, Side};
use crate::generate::native::Line;
use crate::generate::now;
use crate::pubsub::native::Frames;
use crate::pubsub::{STAMP_BYTES, Scan, Seen};
use crate::socket::Socket;
use anyhow::{Context, Result, ensure};
use openmesh_message::frame::{ClientFrame, FrameEncoder};
use openmesh_message::{Address, AgentId, AgentRef, DomainId, Draft, KeyPair, Performative, Target};

/// The subscription that stands for the agent's own address.
const OWN_ADDRESS: u64 = 0;
/// By when a reply is of use: later than the load is over.
const REPLY_WITHIN_MS: i64 = 10 * 60 * 1_000;

/// One connection, and what it says to the other.
pub(super) struct Talker {
    socket: Socket,
    frames: Vec<Vec<u8>>,
    scan: Frames,
    seen: Seen,
}

/// The one who asks, and the one who answers.
pub(super) fn pair(options: &Options, domain: DomainId) -> Result<(Talker, Talker)> {
    let mut lines = [Line::connect(options.address, &domain)?, Line::connect(options.address, &domain)?];
    for line in &mut lines {
        line.register()?;
    }
    let [asker, answerer] = lines;
    let agent = |agent: AgentId| Address::new(domain, Target::Agent(AgentRef::Id(agent)));
    let (asks, answers) = (agent(answerer.key().id()), agent(asker.key().id()));
    let request = |number: usize, draft: fn(String, &Address) -> Result<Draft>, to: &Address| {
        draft(format!("m{number}"), to)
    };
    let asking = frames(options, asker.key(), |number| request(number, asked, &asks))?;
    let answering = frames(options, answerer.key(), |number| request(number, answered, &answers))?;
    Ok((Talker::new(asker, asking), Talker::new(answerer, answering)))
}

fn asked(id: String, to: &Address) -> Result<Draft> {
    let now = now()?;
    Ok(Draft::new(id, now, to, &Performative::Request).reply_by(now.plus_ms(REPLY_WITHIN_MS)))
}

fn answered(id: String, to: &Address) -> Result<Draft> {
    Ok(Draft::new(id.clone(), now()?, to, &Performative::Inform).in_reply_to(&id))
}

/// Each message as a frame of its own.
fn frames(options: &Options, key: &KeyPair, draft: impl Fn(usize) -> Result<Draft>) -> Result<Vec<Vec<u8>>> {
    ensure!(options.payload_bytes >= STAMP_BYTES, "a payload holds its number");
    let mut encoder = FrameEncoder::default();
    let frame = |number: usize| {
        let mut payload = vec![b'x'; options.payload_bytes];
        let place = payload.get_mut(STAMP_BYTES - 8..STAMP_BYTES).context("a payload holds its number")?;
        place.copy_from_slice(&(number as u64).to_le_bytes());
        let draft = draft(number)?.payload("application/octet-stream", payload);
        let envelope = if options.signed { draft.sign(key) } else { draft.unsigned(&key.id()) }?;
        let mut bytes = Vec::new();
        encoder.encode_client(&ClientFrame::Send(vec![(1 << 16, envelope)]), &mut bytes)?;
        Ok(bytes)
    };
    (0..options.messages()).map(frame).collect()
}

impl Talker {
    fn new(line: Line, frames: Vec<Vec<u8>>) -> Self {
        let scan = Frames::new(OWN_ADDRESS);
        Self { socket: line.into_socket(), frames, scan, seen: Seen::default() }
    }
}

impl Side for Talker {
    fn say(&mut self, number: usize) -> Result<()> {
        self.socket.write(self.frames.get(number).context("no such message was prepared")?)
    }

    fn hear(&mut self, number: usize) -> Result<()> {
        while self.seen.next() <= number as u64 {
            self.socket.fill()?;
            let used = self.scan.scan(self.socket.unused(), &mut self.seen)?;
            self.socket.used(used);
        }
        ensure!(self.seen.messages() == number as u64 + 1, "a message before {number} was lost");
        Ok(())
    }
}
