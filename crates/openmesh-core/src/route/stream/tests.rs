//! Streams between ends that behave as clients do, cut off at random: nothing is missing, nothing comes twice, and never
//! is more on its way than the window holds.

use super::{Offer, Streams, Told};
use crate::input::ConnectionId;
use bytes::Bytes;
use openmesh_message::frame::{StreamAct, StreamEvent, item_cost};
use openmesh_message::limits::{STREAM_AWAY_MS_MAX, STREAM_ITEM_BYTES_MAX, STREAM_WINDOW_BYTES_MIN};
use openmesh_message::{AgentId, Attributes, ControlAttributes, Digest, DomainId, KeyPair, Timestamp};
use openmesh_policy::Authenticity;
use std::collections::VecDeque;

const WINDOW: u64 = 2 * STREAM_WINDOW_BYTES_MIN;
const ID: &str = "feed";

fn agent(seed: u8) -> AgentId {
    KeyPair::from_seed(&[seed; 32]).unwrap().id()
}

fn offer(id: &str) -> Offer {
    let (source, to) =
        (agent(1).to_string(), format!("mesh://{}/agent/reader", DomainId::from_bytes([1; 32])));
    let mut attributes = Attributes::default();
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", id),
        ("source", &source),
        ("type", "feed"),
        ("time", "2026-01-01T00:00:00Z"),
        ("to", &to),
        ("performative", "inform"),
        ("stream", "text/plain"),
    ] {
        attributes.set(name, value).unwrap();
    }
    Offer {
        control: ControlAttributes::parse(&attributes).unwrap(),
        digest: Digest::of(id.as_bytes()),
        authenticity: Authenticity::Connection,
        reader: agent(2),
    }
}

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

/// One connection: what was said on it and did not arrive yet.
#[derive(Default)]
struct Wire {
    connection: u64,
    up: VecDeque<StreamAct>,
    down: VecDeque<StreamEvent>,
}

struct World {
    dice: Dice,
    streams: Streams,
    connections: u64,
    writer: Option<Wire>,
    reader: Option<Wire>,
    run: Option<(u64, u64)>,
    kept: VecDeque<(u64, Bytes)>,
    consumed: u64,
    end: u64,
    written: u64,
    said_fin: bool,
    shelf: VecDeque<Bytes>,
    place: u64,
    expected: u64,
    fin: Option<u64>,
    said_done: bool,
    taken: u64,
    resumptions: u64,
    done: [bool; 2],
}

/// What went wrong.
type Seen = Result<(), String>;

impl World {
    fn new(seed: u64) -> Self {
        let mut streams = Streams::default();
        streams.offer(offer(ID), Timestamp::from_millis(0));
        Self {
            dice: Dice(seed | 1),
            streams,
            connections: 0,
            writer: None,
            reader: None,
            run: None,
            kept: VecDeque::new(),
            consumed: 0,
            end: 0,
            written: 0,
            said_fin: false,
            shelf: VecDeque::new(),
            place: 0,
            expected: 0,
            fin: None,
            said_done: false,
            taken: 0,
            resumptions: 0,
            done: [false; 2],
        }
    }

    /// Runs until the stream has ended; cuts come with one step in `cut_every`.
    fn run(&mut self, items: u64, cut_every: u64) -> Seen {
        for _ in 0..items * 400 {
            if self.done == [true; 2] {
                return if self.taken == items {
                    Ok(())
                } else {
                    Err(format!("{} of {items} taken", self.taken))
                };
            }
            self.step(items, cut_every)?;
        }
        Err(format!("stuck with {} of {} written taken", self.taken, self.written))
    }

    fn step(&mut self, items: u64, cut_every: u64) -> Seen {
        let may_cut = self.resumptions < items && self.done == [false; 2];
        if may_cut && self.dice.below(cut_every) == 0 {
            self.resumptions += 1;
            match self.dice.below(5) {
                0 | 1 => self.cut_writer(),
                2 | 3 => self.cut_reader(),
                _ => {
                    self.cut_writer();
                    self.cut_reader();
                    self.streams = Streams::default();
                    self.streams.offer(offer(ID), Timestamp::from_millis(0));
                }
            }
        }
        match self.dice.below(6) {
            0 => self.attach(),
            1 => self.write(items),
            2 => self.node_hears(),
            3 => return self.writer_hears(),
            4 => return self.reader_hears(),
            _ => return self.take(),
        }
        Ok(())
    }

    fn attach(&mut self) {
        if self.writer.is_none() && !self.done[0] {
            self.connections += 1;
            let write = StreamAct::Write { stream: 1, id: ID.to_owned(), from: self.consumed };
            self.writer = Some(Wire { connection: self.connections, up: [write].into(), ..Wire::default() });
        }
        if self.reader.is_none() && !self.done[1] {
            self.connections += 1;
            self.shelf.clear();
            (self.expected, self.fin, self.said_done) = (self.place, None, false);
            let (sender, from) = (agent(1), self.place);
            let read = StreamAct::Read { stream: 1, sender, id: ID.to_owned(), from, window: WINDOW };
            self.reader = Some(Wire { connection: self.connections, up: [read].into(), ..Wire::default() });
        }
    }

    fn write(&mut self, items: u64) {
        let (Some(wire), Some((run, sent))) = (&mut self.writer, &mut self.run) else { return };
        let size = 8 + self.dice.below(STREAM_ITEM_BYTES_MAX as u64 / 4) as usize;
        let limit = self.consumed + WINDOW;
        if self.written < items && self.end + item_cost(size) <= limit {
            let mut item = vec![0; size];
            item[..8].copy_from_slice(&self.written.to_be_bytes());
            self.kept.push_back((self.end, item.into()));
            self.end += item_cost(size);
            self.written += 1;
        }
        for (offset, item) in &self.kept {
            if offset < sent {
                continue;
            }
            let behind = offset + item_cost(item.len());
            if behind > limit {
                break;
            }
            wire.up.push_back(StreamAct::Item { stream: 1, run: *run, offset: *offset, item: item.clone() });
            *sent = behind;
        }
        if self.written == items && *sent == self.end && !self.said_fin {
            self.said_fin = true;
            wire.up.push_back(StreamAct::Fin { stream: 1, run: *run, offset: self.end });
        }
    }

    fn node_hears(&mut self) {
        let writes = self.dice.below(2) == 0;
        let (wire, who) = if writes { (&mut self.writer, agent(1)) } else { (&mut self.reader, agent(2)) };
        let Some(wire) = wire else { return };
        let Some(act) = wire.up.pop_front() else { return };
        let mut told = Told::at(Timestamp::from_millis(0));
        self.streams.act((ConnectionId(wire.connection), who), act, &mut told);
        for (ConnectionId(connection), event) in told.events {
            for wire in [&mut self.writer, &mut self.reader].into_iter().flatten() {
                if wire.connection == connection {
                    wire.down.push_back(event.clone());
                }
            }
        }
    }

    fn writer_hears(&mut self) -> Seen {
        let Some(event) = self.writer.as_mut().and_then(|wire| wire.down.pop_front()) else { return Ok(()) };
        let consumed = match event {
            StreamEvent::Go { run, from, consumed, .. } => {
                (self.run, self.said_fin) = (Some((run, from)), false);
                consumed
            }
            StreamEvent::Credit { consumed, .. } => consumed,
            StreamEvent::Done { .. } => {
                self.done[0] = true;
                return Ok(());
            }
            StreamEvent::Refused { .. } => {
                self.cut_writer();
                return Ok(());
            }
            other => return Err(format!("the writer is told {other:?}")),
        };
        self.consumed = self.consumed.max(consumed);
        while self.kept.front().is_some_and(|(offset, _)| *offset < self.consumed) {
            self.kept.pop_front();
        }
        Ok(())
    }

    fn reader_hears(&mut self) -> Seen {
        let Some(wire) = &mut self.reader else { return Ok(()) };
        let on_its_way = wire.down.iter().map(|event| match event {
            StreamEvent::Item { item, .. } => item_cost(item.len()),
            _ => 0,
        });
        let unread: u64 = self.shelf.iter().map(|item| item_cost(item.len())).sum();
        let held = on_its_way.sum::<u64>() + unread;
        if held > WINDOW {
            return Err(format!("{held} bytes are on their way within a window of {WINDOW}"));
        }
        match wire.down.pop_front() {
            Some(StreamEvent::Item { offset, item, .. }) if offset == self.expected => {
                self.expected += item_cost(item.len());
                self.shelf.push_back(item);
            }
            Some(StreamEvent::Fin { offset, .. }) if offset == self.expected => self.fin = Some(offset),
            Some(StreamEvent::Done { .. }) => self.done[1] = true,
            Some(StreamEvent::Refused { .. }) => self.cut_reader(),
            Some(StreamEvent::Go { .. }) | None => {}
            Some(other) => return Err(format!("at {} the reader is told {other:?}", self.expected)),
        }
        Ok(())
    }

    fn take(&mut self) -> Seen {
        let Some(wire) = &mut self.reader else { return Ok(()) };
        if let Some(item) = self.shelf.pop_front() {
            let number = item.first_chunk().map(|number| u64::from_be_bytes(*number));
            if number != Some(self.taken) {
                return Err(format!("item {number:?} where {} belongs", self.taken));
            }
            self.taken += 1;
            self.place += item_cost(item.len());
            wire.up.push_back(StreamAct::Credit { stream: 1, consumed: self.place });
        }
        if self.fin == Some(self.place) && !self.said_done {
            self.said_done = true;
            wire.up.push_back(StreamAct::Done { stream: 1 });
        }
        Ok(())
    }

    fn cut_writer(&mut self) {
        self.run = None;
        if let Some(wire) = self.writer.take() {
            self.streams.disconnect(ConnectionId(wire.connection), Timestamp::from_millis(0));
        }
    }

    fn cut_reader(&mut self) {
        if let Some(wire) = self.reader.take() {
            self.streams.disconnect(ConnectionId(wire.connection), Timestamp::from_millis(0));
        }
    }
}

#[test]
fn whatever_is_cut_every_item_comes_once_and_in_order() {
    let mut resumptions = 0;
    for seed in 0..200 {
        let mut world = World::new(seed * 7_919 + 1);
        let seen = world.run(120, 20 + seed % 60);
        assert_eq!(seen, Ok(()), "seed {seed}");
        resumptions += world.resumptions;
    }
    assert!(resumptions > 5_000, "{resumptions} resumptions");
    println!("{resumptions} resumptions");
}

#[cfg(feature = "planted-bugs")]
#[test]
fn planted_bugs_are_seen() {
    use crate::planted::{Planted, plant};
    for bug in [Planted::RepeatARun, Planted::LoseAnItem] {
        plant(Some(bug));
        let seen: Vec<_> = (0..20).map(|seed| World::new(seed * 7_919 + 1).run(120, 40)).collect();
        plant(None);
        let caught = seen.iter().filter(|seen| seen.is_err()).count();
        println!("{bug:?}: {caught} of {} runs see it", seen.len());
        assert!(caught > 0, "{bug:?}");
    }
}

/// Says one thing as an agent, and returns what is told.
fn say(streams: &mut Streams, who: u8, act: StreamAct) -> Vec<StreamEvent> {
    let mut told = Told::at(Timestamp::from_millis(0));
    streams.act((ConnectionId(u64::from(who)), agent(who)), act, &mut told);
    told.events.into_iter().map(|(_, event)| event).collect()
}

fn write(id: &str) -> StreamAct {
    StreamAct::Write { stream: 1, id: id.to_owned(), from: 0 }
}

fn read(id: &str, window: u64) -> StreamAct {
    StreamAct::Read { stream: 1, sender: agent(1), id: id.to_owned(), from: 0, window }
}

fn item(offset: u64, bytes: usize) -> StreamAct {
    StreamAct::Item { stream: 1, run: 1, offset, item: vec![7; bytes].into() }
}

fn code(events: &[StreamEvent]) -> String {
    match &events[0] {
        StreamEvent::Reset { problem, .. } | StreamEvent::Refused { problem, .. } => problem.code.clone(),
        other => format!("{other:?}"),
    }
}

fn opened() -> Streams {
    let mut streams = Streams::default();
    streams.offer(offer(ID), Timestamp::from_millis(0));
    assert!(say(&mut streams, 1, write(ID)).is_empty());
    assert_eq!(say(&mut streams, 2, read(ID, STREAM_WINDOW_BYTES_MIN)).len(), 2);
    streams
}

#[test]
fn what_does_not_fit_breaks_the_stream_off_at_both_ends() {
    for (who, act, expected) in [
        (1, item(1, 5), "stream.disorder"),
        (1, item(0, STREAM_ITEM_BYTES_MAX + 1), "stream.disorder"),
        (1, StreamAct::Credit { stream: 1, consumed: 0 }, "stream.disorder"),
        (1, StreamAct::Fin { stream: 1, run: 1, offset: 9 }, "stream.disorder"),
        (2, StreamAct::Credit { stream: 1, consumed: 1 }, "stream.disorder"),
        (2, StreamAct::Done { stream: 1 }, "stream.disorder"),
        (2, item(0, 5), "stream.disorder"),
    ] {
        let mut streams = opened();
        let told = say(&mut streams, who, act.clone());
        assert_eq!((told.len(), code(&told)), (2, expected.to_owned()), "{act:?}");
        assert_eq!(streams.open(), 0);
    }
    let mut streams = opened();
    assert_eq!(say(&mut streams, 1, item(0, STREAM_ITEM_BYTES_MAX)).len(), 1);
    let told = say(&mut streams, 1, item(STREAM_WINDOW_BYTES_MIN, 1));
    assert_eq!(code(&told), "stream.over_credit");
}

#[test]
fn a_reset_reaches_the_other_end_also_when_it_is_away() {
    let mut streams = opened();
    let told = say(&mut streams, 1, StreamAct::Reset { stream: 1, reason: "é".repeat(200) });
    assert!(matches!(&told[..], [StreamEvent::Reset { problem, .. }] if problem.detail == "é".repeat(128)));
    // Whether what is told is heard nobody knows, so it is told again.
    assert_eq!(
        code(&say(
            &mut streams,
            2,
            StreamAct::Read { stream: 2, sender: agent(1), id: ID.to_owned(), from: 0, window: WINDOW }
        )),
        "stream.reset"
    );
    let mut streams = opened();
    streams.disconnect(ConnectionId(2), Timestamp::from_millis(0));
    assert!(say(&mut streams, 1, StreamAct::Reset { stream: 1, reason: "enough".to_owned() }).is_empty());
    assert_eq!(code(&say(&mut streams, 2, read(ID, WINDOW))), "stream.reset");
}

#[test]
fn an_end_that_stays_away_breaks_the_stream_off_and_it_is_forgotten() {
    let mut streams = opened();
    streams.disconnect(ConnectionId(2), Timestamp::from_millis(5));
    let (first, second) = (5 + STREAM_AWAY_MS_MAX, 5 + 2 * STREAM_AWAY_MS_MAX);
    assert_eq!(streams.next_deadline(), Some(Timestamp::from_millis(first)));
    let mut told = Told::at(Timestamp::from_millis(first));
    streams.end_deserted(&mut told);
    let told: Vec<_> = told.events.into_iter().map(|(_, event)| event).collect();
    assert_eq!((told.len(), code(&told)), (1, "stream.peer_gone".to_owned()));
    streams.end_deserted(&mut Told::at(Timestamp::from_millis(second)));
    assert_eq!((streams.open(), streams.streams.len(), streams.next_deadline()), (0, 0, None));
}

#[test]
fn strangers_to_a_stream_learn_nothing_of_it_and_windows_have_bounds() {
    let mut streams = opened();
    assert_eq!(code(&say(&mut streams, 3, read(ID, WINDOW))), "stream.unknown");
    assert_eq!(code(&say(&mut streams, 3, read("other", WINDOW))), "stream.unknown");
    assert_eq!(code(&say(&mut streams, 3, write(ID))), "stream.unknown");
    for number in 0..5 {
        let id = format!("feed-{number}");
        streams.offer(offer(&id), Timestamp::from_millis(0));
        let window = 4 * 1024 * 1024;
        let act = StreamAct::Read { stream: 10 + number, sender: agent(1), id, from: 0, window };
        let told = say(&mut streams, 2, act);
        let fits = number < 3;
        assert_eq!(told.is_empty(), fits, "{number}: {told:?}");
    }
    streams.disconnect(ConnectionId(2), Timestamp::from_millis(0));
    assert_eq!((streams.windows_bytes, streams.windows.len()), (0, 0));
    assert_eq!(code(&say(&mut streams, 2, read(ID, 1))), "stream.window");
}

#[test]
fn a_later_end_of_the_same_agent_takes_over() {
    let mut streams = opened();
    let act = StreamAct::Read { stream: 2, sender: agent(1), id: ID.to_owned(), from: 0, window: WINDOW };
    let told = say(&mut streams, 2, act);
    assert_eq!(
        (told.len(), code(&told)),
        (3, "stream.taken_over".to_owned()),
        "and both ends are told to go"
    );
    assert!(say(&mut streams, 2, StreamAct::Done { stream: 1 }).is_empty(), "it is an end no more");
    assert_eq!((streams.open(), streams.windows_bytes), (1, WINDOW));
}

#[test]
fn a_reader_that_begins_before_what_is_kept_is_told_so() {
    let mut streams = opened();
    say(&mut streams, 1, item(0, 88));
    say(&mut streams, 2, StreamAct::Credit { stream: 1, consumed: item_cost(88) });
    streams.disconnect(ConnectionId(2), Timestamp::from_millis(0));
    let told = say(&mut streams, 2, read(ID, WINDOW));
    assert_eq!((told.len(), code(&told)), (2, "stream.items_gone".to_owned()));
}

#[test]
fn one_sender_has_only_so_many_streams() {
    let mut streams = Streams::default();
    for number in 0..super::STREAMS_PER_SENDER_MAX {
        let offer = offer(&number.to_string());
        assert!(streams.check(&offer.control, &offer.digest).is_ok());
        streams.offer(offer, Timestamp::from_millis(0));
    }
    let one_more = offer("more");
    assert!(streams.check(&one_more.control, &one_more.digest).is_err());
    assert!(streams.check(&offer("0").control, &Digest::of(b"other")).is_err());
    assert!(streams.check(&offer("0").control, &Digest::of(b"0")).is_ok());
}
