//! One agent's connection: reads frames, admits messages, hands batches to the owner.

use super::greeting::GreetingFault;
use super::offers::Offers;
use super::writer;
use crate::accept::Crowded;
use crate::admission::Admission;
use crate::toll::Toll;
use bytes::Bytes;
use openmesh_adapter::metrics::HANDSHAKES_REFUSED;
use openmesh_adapter::{Asked, Entrance, Event, Expected, MeshHandle, Outbox, Outgoing};
use openmesh_core::admit::Familiar;
use openmesh_core::{ConnectionId, Input, Rejection, Ticket};
use openmesh_message::frame::{
    Command, FrameDecoder, FrameError, Heard, Run, SendOutcome, Sent, StreamAct, body_length,
};
use openmesh_message::{AgentId, Envelope, Problem, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, BufReader};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Sends and commands of one connection that may be unanswered at a time.
pub(super) const IN_FLIGHT_MAX: u32 = 8_192;
/// Commands that came together and are handed in together.
const COMMANDS_AT_ONCE: usize = 16;
/// After so many of them at first, others have their turn: the owner, which this task has woken, then begins.
const SHORT_TURNS: usize = 2;
/// And after so long from then on: a turn costs as much as admitting some messages, and a message may take long.
const TURN_MAX: Duration = Duration::from_micros(200);
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes of a message in a frame, about.
const MESSAGE_BYTES_ABOUT: usize = 1024;
/// So long a frame that has begun to come is counted on.
const ARRIVES_WITHIN: Duration = Duration::from_millis(1);
/// So long nothing more is read of a connection of whose messages most were turned away: to refuse takes time, too.
const TURNED_AWAY_PAUSE: Duration = Duration::from_millis(10);

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// The agent closed it, or it broke.
    #[error("the connection closed: {0}")]
    Closed(#[from] std::io::Error),
    /// The agent sent what is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// There was no room for what was said of a stream.
    #[error("no room for what was said of a stream")]
    StreamLost,
}

struct Connection {
    id: ConnectionId,
    agent: AgentId,
    mesh: MeshHandle,
    entrance: Entrance,
    outbox: Outbox,
    in_flight: Arc<Semaphore>,
    decoder: FrameDecoder,
    familiar: Familiar,
    /// Commands that were read and are not handed in yet.
    commands: Vec<Input>,
    toll: Toll,
}

/// Both directions of a connection.
pub(super) struct Halves<R, W> {
    pub(super) reading: R,
    pub(super) writing: W,
}

/// Goes on from a handshake: serves the agent if it proved its key and there is room for it.
pub(super) async fn serve_greeted<R, W>(
    greeted: Result<AgentId, GreetingFault>,
    halves: Halves<R, W>,
    mesh: MeshHandle,
    may_stay: impl Fn(AgentId) -> Result<(), Crowded>,
) where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    match greeted.map(|agent| (agent, may_stay(agent))) {
        Ok((agent, Ok(()))) => serve(halves, agent, mesh).await,
        Ok((agent, Err(crowded))) => {
            tracing::debug!(%agent, ?crowded, "no room for a connection");
            writer::say_goodbye(halves.writing, crowded.to_problem()).await;
        }
        Err(refused) => {
            metrics::counter!(HANDSHAKES_REFUSED, "reason" => refused.reason()).increment(1);
            tracing::debug!(%refused, "handshake refused");
        }
    }
}

/// Serves an agent that has proved its key, until either side ends the connection.
async fn serve<R, W>(halves: Halves<R, W>, agent: AgentId, mesh: MeshHandle)
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let id = mesh.next_connection();
    let (outbox, reader) = Outbox::under(mesh.load());
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX as usize));
    let writing = writer::Writing { connection: id, mesh: mesh.clone(), in_flight: Arc::clone(&in_flight) };
    let mut writer = tokio::spawn(writer::write(halves.writing, reader, writing));
    let mut wrote_all = false;
    let opened = Event::Opened { connection: id, agent, receives: true, outbox: outbox.clone() };
    if mesh.tell(opened).await.is_ok() {
        tracing::debug!(connection = id.0, %agent, "an agent has connected");
        let _ = outbox.send(vec![Outgoing::Pong(0)]);
        let decoder = FrameDecoder::default();
        let familiar = Familiar::default();
        let entrance = mesh.entrance(id);
        let toll = Toll::of(agent, &mesh);
        let held = mesh.clone();
        let mut connection = Connection {
            id,
            agent,
            mesh: held,
            entrance,
            outbox,
            in_flight,
            decoder,
            familiar,
            commands: Vec::new(),
            toll,
        };
        let ended = tokio::select! {
            ended = connection.read(halves.reading) => Some(ended),
            _ = &mut writer => {
                wrote_all = true;
                None
            }
        };
        if let Some(Ended::Frame(error)) = &ended {
            let goodbye = Outgoing::Goodbye(Problem::new("frame.malformed", error.to_string()));
            let _ = connection.outbox.send(vec![goodbye]);
        }
        tracing::debug!(connection = id.0, %agent, ?ended, "a connection has ended");
        drop(connection);
        let _ = mesh.tell(Event::Closed(id)).await;
    }
    if !wrote_all {
        // The owner lets go of its half of the outbox when it reads `Closed`; then the writer ends.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), &mut writer).await;
        writer.abort();
    }
}

impl Connection {
    async fn read(&mut self, half: impl AsyncRead + Unpin) -> Ended {
        let mut half = BufReader::with_capacity(READ_BUFFER_BYTES, half);
        loop {
            if let Err(ended) = self.read_frame(&mut half).await {
                // What came before something that is no frame is done all the same.
                let _ = self.hand_in().await;
                return ended;
            }
            if !begins_with_a_frame(half.buffer())
                && let Err(ended) = self.hand_in().await
            {
                return ended;
            }
        }
    }

    async fn read_frame<R: AsyncRead + Unpin>(&mut self, half: &mut BufReader<R>) -> Result<(), Ended> {
        let (frame, arriving) = self.read_body(half).await?;
        let heard = self.decoder.hear(&frame)?;
        drop((frame, arriving));
        match heard {
            Heard::Sent(sent) => {
                self.hand_in().await?;
                self.send(sent).await
            }
            Heard::Command(tag, command) => {
                self.hold(1).await?;
                let ticket = self.ticket(tag);
                if let Err(problem) = self.toll.let_command_in(&command, &self.mesh) {
                    let _ = self.outbox.send(vec![Outgoing::Reply(tag, Err(*problem))]);
                    return Ok(());
                }
                let command = self.ask(ticket, command).map(Box::new);
                self.commands.extend(command.map(|command| Input::Command { ticket, command }));
                let is_room =
                    self.commands.len() < COMMANDS_AT_ONCE && self.in_flight.available_permits() > 0;
                if is_room { Ok(()) } else { self.hand_in().await }
            }
            Heard::Ping(number) => {
                let _ = self.outbox.send(vec![Outgoing::Pong(number)]);
                Ok(())
            }
            Heard::Stream(acts) => {
                self.hand_in().await?;
                self.stream(acts).await
            }
        }
    }

    /// Hands in the commands that came together: they are decided, and answered, together.
    async fn hand_in(&mut self) -> Result<(), Ended> {
        let commands = std::mem::take(&mut self.commands);
        if commands.is_empty() { Ok(()) } else { self.submit(commands).await }
    }

    /// Hands over what was said of streams. What found no room would be missing, so the connection ends: streams go on
    /// with another.
    async fn stream(&self, acts: Vec<StreamAct>) -> Result<(), Ended> {
        let connection = self.id;
        let inputs = acts.into_iter().map(|act| Input::Stream { connection, act }).collect();
        match self.entrance.submit(inputs).await {
            Ok(()) => Ok(()),
            Err(None) => Err(Ended::Stopping),
            Err(Some(_)) => Err(Ended::StreamLost),
        }
    }

    /// Reads the body of a frame; until it is read and taken apart, the owner knows about how many messages come. A body that
    /// comes slowly is waited for by nobody.
    async fn read_body<R: AsyncRead + Unpin>(
        &self,
        half: &mut BufReader<R>,
    ) -> Result<(Bytes, Option<Expected>), Ended> {
        let mut header = [0; 4];
        half.read_exact(&mut header).await?;
        let mut frame = vec![0; body_length(header)?];
        let arriving = self.entrance.expect(frame.len() / MESSAGE_BYTES_ABOUT);
        let mut body = std::pin::pin!(half.read_exact(&mut frame));
        if let Ok(read) = timeout(ARRIVES_WITHIN, &mut body).await {
            read?;
            return Ok((frame.into(), Some(arriving)));
        }
        drop(arriving);
        body.await?;
        Ok((frame.into(), None))
    }

    async fn send(&mut self, mut sent: Sent) -> Result<(), Ended> {
        self.hold(sent.len()).await?;
        let admission = Admission::of(self.agent, &self.mesh);
        self.turn_away(&mut sent, &admission).await;
        if !admission.traces() {
            self.pass(&mut sent.runs, admission.moment()).await;
        }
        if sent.is_empty() { Ok(()) } else { self.admit(sent.into_messages(), &admission).await }
    }

    /// Passes on the first runs, up to what is to be decided. They overtake nothing: what came before them is decided first.
    async fn pass(&self, runs: &mut VecDeque<(u64, Run)>, now: Timestamp) {
        let takes_a_shortcut = |(_, run): &mut (u64, Run)| self.outbox.is_shortened(run.form());
        while let Some((first, run)) = runs.pop_front_if(takes_a_shortcut) {
            self.entrance.idle().await;
            let messages = run.len();
            if let Some(rest) = self.outbox.pass(first, run, now) {
                let passed = messages - rest.len();
                runs.push_front((first + passed as u64, rest));
                return;
            }
        }
    }

    async fn admit(&mut self, messages: Vec<(u64, Envelope)>, admission: &Admission) -> Result<(), Ended> {
        let mut expected = self.entrance.expect(messages.len());
        let mut offers = Offers::of(messages);
        let mut turns = Turns::begin();
        while !offers.is_empty() {
            let some = offers.next().await.map_err(|_| Ended::Stopping)?;
            let inputs: Vec<_> = some
                .into_iter()
                .map(|(tag, offered)| admission.admit(self.ticket(tag), offered, &mut self.familiar))
                .collect();
            let admitted = inputs.len();
            self.submit(inputs).await?;
            expected.came(admitted);
            if !offers.is_empty() {
                turns.give_way().await;
            }
        }
        Ok(())
    }

    /// Answers the messages that are not let in.
    async fn turn_away(&mut self, sent: &mut Sent, admission: &Admission) {
        let refused = self.toll.turn_away(sent, admission, &mut self.familiar, &self.outbox);
        if refused.is_empty() {
            return;
        }
        let most = refused.len() > sent.len();
        let _ = self.outbox.send(refused);
        if most {
            tokio::time::sleep(TURNED_AWAY_PAUSE).await;
        }
    }

    /// Has a command, whose room is taken, answered beside the owner where that may be; gives it back for the owner else.
    fn ask(&self, ticket: Ticket, command: Command) -> Option<Command> {
        let overtakes = self.in_flight.available_permits() + 1 < IN_FLIGHT_MAX as usize;
        let asked = Asked { ticket, agent: self.agent, command, overtakes };
        self.mesh.ask(asked, &self.outbox).map(|asked| asked.command)
    }

    /// Takes room for answers; the writer gives it back. Until there is room, nothing more is read.
    async fn hold(&self, answers: usize) -> Result<(), Ended> {
        let answers = u32::try_from(answers).unwrap_or(u32::MAX);
        let room = self.in_flight.acquire_many(answers).await.map_err(|_| Ended::Stopping)?;
        room.forget();
        Ok(())
    }

    async fn submit(&self, inputs: Vec<Input>) -> Result<(), Ended> {
        match self.entrance.submit(inputs).await {
            Ok(()) => Ok(()),
            Err(None) => Err(Ended::Stopping),
            Err(Some(inputs)) => {
                let _ = self.outbox.send(inputs.iter().filter_map(answer_busy).collect());
                Ok(())
            }
        }
    }

    const fn ticket(&self, tag: u64) -> Ticket {
        Ticket { connection: self.id, tag }
    }
}

/// The turns in which one batch is admitted: the owner decides its first messages while the rest is admitted, and other
/// connections are served in between.
struct Turns {
    short: usize,
    begun: Instant,
}

impl Turns {
    fn begin() -> Self {
        Self { short: SHORT_TURNS, begun: Instant::now() }
    }

    /// Lets others have their turn if this one is over.
    async fn give_way(&mut self) {
        if self.short == 0 && self.begun.elapsed() < TURN_MAX {
            return;
        }
        self.short = self.short.saturating_sub(1);
        tokio::task::yield_now().await;
        self.begun = Instant::now();
    }
}

/// Whether all of a frame has come, and can be read without waiting.
fn begins_with_a_frame(came: &[u8]) -> bool {
    let length = came.split_first_chunk().map(|(header, body)| (body_length(*header), body.len()));
    length.is_some_and(|(length, came)| length.is_ok_and(|length| length <= came))
}

fn answer_busy(input: &Input) -> Option<Outgoing> {
    let busy = Rejection::Busy.to_problem();
    match input {
        Input::Message { ticket, .. } | Input::Refused { ticket, .. } => {
            Some(Outgoing::Outcome(ticket.tag, SendOutcome::Rejected(busy)))
        }
        Input::Command { ticket, .. } => Some(Outgoing::Reply(ticket.tag, Err(busy))),
        _ => None,
    }
}
