//! The threads of one load: one publishes, one reads what is answered to it, and one reads for each subscriber.

use super::flow::Flow;
use super::seen::{Scan, Seen};
use super::{Blocks, Options, Parties, Passed, Publisher, window};
use crate::process::cpu_us;
use crate::socket::Socket;
use crate::statistics::percentile;
use anyhow::{Result, anyhow};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// Between two looks whether everything is published.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long subscribers have for what was published last.
const TAIL_WAIT: Duration = Duration::from_secs(2);
/// How long a server may take nothing in.
const WRITE_WAIT: Duration = Duration::from_secs(10);

/// Ends the load, however it comes to its end: threads that read are waited for, and read until then.
struct Ending<'a> {
    flow: &'a Flow,
    streams: Vec<TcpStream>,
}

/// A moment of the run.
struct Reading {
    at: Instant,
    delivered: u64,
    server_us: Option<f64>,
    own_us: f64,
}

/// Publishes for as long as the options say, and measures.
pub(super) fn drive(options: &Options, parties: Parties) -> Result<Passed> {
    let Parties { publisher: Publisher { socket, scan, blocks }, subscribers } = parties;
    let flow = Flow::new(options.window.unwrap_or_else(|| window(options.payload_bytes)), subscribers.len());
    let publishing = socket.stream()?;
    publishing.set_write_timeout(Some(WRITE_WAIT))?;
    let streams: Result<Vec<TcpStream>> = subscribers.iter().map(|one| one.socket.stream()).collect();
    let mut ending = Ending { flow: &flow, streams: streams? };
    ending.streams.push(socket.stream()?);
    std::thread::scope(|scope| {
        // Dropped before the threads are waited for, wherever this is left.
        let ending = ending;
        let flow = &flow;
        let answers = scope.spawn(move || listen(socket, scan, flow, None));
        let readers = subscribers.into_iter().enumerate();
        let readers: Vec<_> = readers
            .map(|(place, one)| scope.spawn(move || listen(one.socket, one.scan, flow, Some(place))))
            .collect();
        let publishes = scope.spawn(move || publish(publishing, blocks, flow));
        std::thread::sleep(Duration::from_millis(options.warm_up_ms));
        let before = reading(options, flow)?;
        flow.measure(true);
        let until = Instant::now() + Duration::from_millis(options.load_ms);
        while Instant::now() < until && !publishes.is_finished() {
            std::thread::sleep(LOOK_EVERY.min(until.saturating_duration_since(Instant::now())));
        }
        flow.measure(false);
        let after = reading(options, flow)?;
        flow.end();
        let sent = joined(publishes)?;
        flow.wait_all(sent, TAIL_WAIT);
        drop(ending);
        let seen: Vec<Seen> = readers.into_iter().map(joined).collect::<Result<_>>()?;
        joined(answers)?;
        Ok(summary(&before, &after, sent, &seen))
    })
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.flow.end();
        for stream in &self.streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread of the load panicked"))?
}

/// Writes one block after the other for as long as there is room in the window, and there are blocks.
fn publish(mut stream: TcpStream, mut blocks: Blocks, flow: &Flow) -> Result<u64> {
    let mut sent = 0;
    loop {
        let messages = blocks.messages();
        if !flow.wait_room(sent, messages) {
            return Ok(sent);
        }
        let Some(bytes) = blocks.next(sent, flow.now_ns())? else { return Ok(sent) };
        stream.write_all(bytes)?;
        sent += messages;
    }
}

/// Reads what comes on one socket until the load is over; `place` is that of a subscriber.
fn listen(mut socket: Socket, mut scan: Box<dyn Scan>, flow: &Flow, place: Option<usize>) -> Result<Seen> {
    let mut seen = Seen::default();
    loop {
        if let Err(error) = socket.fill() {
            return if flow.is_over() { Ok(seen) } else { Err(error) };
        }
        let used = scan.scan(socket.unused(), &mut seen)?;
        socket.used(used);
        if let Some(place) = place {
            seen.read_at(flow.now_ns(), flow.is_measuring());
            flow.saw(place, &seen);
        }
        if let Some(answer) = scan.answer() {
            socket.write(answer)?;
        }
    }
}

fn summary(before: &Reading, after: &Reading, sent: u64, seen: &[Seen]) -> Passed {
    let delivered = after.delivered - before.delivered;
    let each = |us: f64| us / delivered as f64;
    let mut latencies: Vec<u64> = seen.iter().flat_map(|seen| seen.latencies_ns()).copied().collect();
    latencies.sort_unstable();
    let micros = |share: f64| percentile(&latencies, share) as f64 / 1e3;
    Passed {
        delivered,
        per_second: delivered as f64 / (after.at - before.at).as_secs_f64(),
        server_us: after.server_us.zip(before.server_us).map(|(after, before)| each(after - before)),
        generator_us: each(after.own_us - before.own_us),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        lost: seen.iter().map(|seen| sent.saturating_sub(seen.messages())).sum(),
    }
}

fn reading(options: &Options, flow: &Flow) -> Result<Reading> {
    Ok(Reading {
        at: Instant::now(),
        delivered: flow.delivered(),
        server_us: options.server.map(cpu_us).transpose()?,
        own_us: cpu_us(std::process::id())?,
    })
}
