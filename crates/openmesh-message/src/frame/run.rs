//! Runs: messages of one form that came one behind the other without proof and transit part, left as the bytes they came as.
//!
//! What is not signed, not kept and not changed on its way needs no envelope: a run is handed on as its bytes.

use super::alike::Own;
use super::interned::{encode_attributes, put_tail};
use super::{Delivery, EncodeTable, Encoded, FrameWriter};
use crate::attributes::Form;
use crate::{Attributes, Envelope, Transit};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Messages of one run: its deliveries fit a frame even where each has all its attributes written out.
const RUN_MESSAGES_MAX: usize = 128;
/// Bytes of a run of more than one message, so that what is more urgent does not wait long for it.
const RUN_BYTES_MAX: usize = 128 * 1024;

/// Messages that are alike, in the order in which they came.
#[derive(Clone, Debug)]
pub struct Run {
    form: Arc<Form>,
    bytes: Bytes,
    places: Vec<Place>,
}

/// Where one message has its own in the bytes of its run.
#[derive(Clone, Debug)]
struct Place {
    id: Range<u32>,
    time: Range<u32>,
    payload: Range<u32>,
}

/// What one message of a run has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lone<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its time, as text.
    pub time: &'a str,
    /// Its payload.
    pub payload: &'a [u8],
}

/// What a connection sent in one frame, with its tags: runs first. From the first message on that is in none, each stands by itself.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Each with the tag of its first message; those of the others follow it.
    pub runs: VecDeque<(u64, Run)>,
    /// The messages behind them.
    pub messages: Vec<(u64, Envelope)>,
}

/// Messages of a run on their way to a subscription.
#[derive(Clone, Debug)]
pub struct RunDelivery {
    /// The subscription.
    pub subscription: u64,
    /// The number of the first ([`Delivery::Message`]).
    pub number: u64,
    /// Where they are; shared by all they are handed to.
    pub run: Arc<Run>,
    /// How many they are: the run's first.
    pub messages: usize,
}

impl Sent {
    /// How many messages.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|(_, run)| run.len()).sum::<usize>() + self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.messages.is_empty()
    }

    /// Each message by itself, with its tag.
    pub fn into_messages(self) -> Vec<(u64, Envelope)> {
        if self.runs.is_empty() {
            return self.messages;
        }
        let mut messages = Vec::with_capacity(self.len());
        for (first, run) in &self.runs {
            messages.extend(
                (*first..).zip(0..run.len()).filter_map(|(tag, index)| Some((tag, run.envelope(index)?))),
            );
        }
        messages.extend(self.messages);
        messages
    }
}

impl Run {
    /// The form of its messages.
    pub const fn form(&self) -> &Arc<Form> {
        &self.form
    }

    /// How many messages.
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What each message has for itself.
    pub fn iter(&self) -> impl Iterator<Item = Lone<'_>> {
        self.places.iter().map(|place| self.lone(place))
    }

    /// Bytes of payload and attributes of each.
    pub fn sizes(&self) -> impl Iterator<Item = usize> + Clone {
        let own = |Place { id, time, payload }: &Place| (id.len(), time.len(), payload.len());
        self.places.iter().map(own).map(|(id, time, payload)| self.form.bytes(id + time) + payload)
    }

    /// Takes the messages from one on off its end.
    pub fn split_off(&mut self, from: usize) -> Self {
        let places = self.places.split_off(from.min(self.places.len()));
        Self { form: Arc::clone(&self.form), bytes: self.bytes.clone(), places }
    }

    /// Its first messages in a run of their own, which holds no bytes but theirs.
    #[must_use]
    pub fn first(&self, messages: usize) -> Self {
        let places: Vec<_> = self.places.iter().take(messages).cloned().collect();
        let end = places.last().map_or(0, |last| last.payload.end as usize);
        let bytes = Bytes::copy_from_slice(self.bytes.get(..end).unwrap_or_default());
        Self { form: Arc::clone(&self.form), bytes, places }
    }

    /// A message by itself, which holds none of the run's bytes.
    pub fn envelope(&self, index: usize) -> Option<Envelope> {
        let Lone { id, time, payload } = self.lone(self.places.get(index)?);
        Some(Envelope {
            attributes: Attributes::of_form(&self.form, &[id.as_bytes(), time.as_bytes()])?,
            payload: Bytes::copy_from_slice(payload),
            proof: None,
            transit: Transit::default(),
        })
    }

    fn lone(&self, Place { id, time, payload }: &Place) -> Lone<'_> {
        Lone { id: self.text(id), time: self.text(time), payload: self.part(payload) }
    }

    fn part(&self, place: &Range<u32>) -> &[u8] {
        self.bytes.get(place.start as usize..place.end as usize).unwrap_or_default()
    }

    /// Looked at when the message was taken in; ASCII costs little to look at again.
    fn text(&self, place: &Range<u32>) -> &str {
        std::str::from_utf8(self.part(place)).unwrap_or_default()
    }
}

impl RunDelivery {
    /// Bytes of payload and attributes of each.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.run.sizes().take(self.messages)
    }

    /// Each message by itself.
    pub fn deliveries(&self) -> impl Iterator<Item = Delivery> {
        (self.number..).zip(0..self.messages).filter_map(|(number, index)| {
            let envelope = Arc::new(self.run.envelope(index)?);
            Some(Delivery::Message { subscription: self.subscription, number, envelope })
        })
    }
}

/// A run as it is read from a frame.
pub(super) struct Gathering {
    first: u64,
    form: Arc<Form>,
    /// From the first message's bytes up to the last one's, in the frame.
    span: Range<usize>,
    places: Vec<Place>,
}

impl Gathering {
    pub(super) fn begin(tag: u64, form: Arc<Form>) -> Self {
        Self { first: tag, form, span: 0..0, places: Vec::new() }
    }

    /// Whether a message with this tag and form, which ends there in the frame, goes on with the run.
    pub(super) fn goes_on(&self, tag: u64, form: &Arc<Form>, end: usize) -> bool {
        let has_room = self.places.len() < RUN_MESSAGES_MAX && end - self.span.start <= RUN_BYTES_MAX;
        has_room
            && Arc::ptr_eq(&self.form, form)
            && self.first.checked_add(self.places.len() as u64) == Some(tag)
    }

    /// Adds a message, by where its own stands in the frame: a frame is far shorter than what a place can say.
    pub(super) fn add(&mut self, own: &Own, payload: Range<usize>) {
        let [id, time, ..] = &own.texts;
        if self.places.is_empty() {
            self.span.start = id.start.min(time.start);
        }
        self.span.end = payload.end;
        let place =
            |range: &Range<usize>| narrow(range.start - self.span.start)..narrow(range.end - self.span.start);
        self.places.push(Place { id: place(id), time: place(time), payload: place(&payload) });
    }

    /// The run, which holds the frame only where it is most of it: else little would hold much.
    pub(super) fn end(self, frame: &Bytes) -> (u64, Run) {
        let Self { first, form, span, places } = self;
        let bytes = match frame.get(span.clone()) {
            Some(part) if span.len() < frame.len() / 2 => Bytes::copy_from_slice(part),
            Some(part) => frame.slice_ref(part),
            None => Bytes::new(),
        };
        (first, Run { form, bytes, places })
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Writes the deliveries of a run.
pub(super) fn encode_run(
    e: &mut FrameWriter<'_>,
    delivery: &RunDelivery,
    table: &mut EncodeTable,
) -> Encoded {
    let RunDelivery { subscription, number, run, messages } = delivery;
    let places = run.places.get(..*messages).unwrap_or_default();
    e.array(2)?.u8(2)?.array(places.len() as u64)?;
    for (number, place) in (*number..).zip(places) {
        super::put_delivery_head(e, *subscription, number)?;
        if !table.forms.write_own(&run.form, [run.part(&place.id), run.part(&place.time)], e.writer_mut()) {
            let own = [run.part(&place.id), run.part(&place.time)];
            encode_attributes(e, &Attributes::of_form(&run.form, &own).unwrap_or_default(), table)?;
        }
        e.bytes(run.part(&place.payload))?;
        put_tail(e.writer_mut());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{RUN_BYTES_MAX, RUN_MESSAGES_MAX, RunDelivery, Sent};
    use crate::frame::{ClientFrame, Delivery, FrameDecoder, FrameEncoder, Heard, ServerFrame};
    use crate::{Attributes, Envelope, KeyPair, Proof, Transit};
    use bytes::Bytes;
    use std::sync::Arc;

    fn message(id: &str, payload: &[u8]) -> Envelope {
        let mut attributes = Attributes::default();
        for (name, value) in [("id", id), ("to", "there"), ("time", "now"), ("subject", "weather")] {
            attributes.set(name, value).unwrap();
        }
        let payload = payload.to_vec().into();
        Envelope { attributes, payload, proof: None, transit: Transit::default() }
    }

    /// Frames of one connection, heard one after the other.
    fn heard(frames: &[Vec<(u64, Envelope)>]) -> Vec<Sent> {
        let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
        let mut hear = |messages: &Vec<(u64, Envelope)>| {
            let mut bytes = Vec::new();
            encoder.encode_client(&ClientFrame::Send(messages.clone()), &mut bytes).unwrap();
            match decoder.hear(&Bytes::from(bytes).slice(4..)).unwrap() {
                Heard::Sent(sent) => sent,
                other => panic!("{other:?}"),
            }
        };
        frames.iter().map(&mut hear).collect()
    }

    fn known() -> Vec<(u64, Envelope)> {
        vec![(1, message("a", b"")), (2, message("b", b"")), (3, message("c", b""))]
    }

    fn lengths(sent: &Sent) -> Vec<usize> {
        sent.runs.iter().map(|(_, run)| run.len()).collect()
    }

    #[test]
    fn messages_of_a_known_form_come_as_runs_as_long_as_their_tags_follow_one_another() {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let mut signed = message("s", b"signed");
        signed.proof = Some(Proof::sign(&key, &signed.digest()));
        let mut messages: Vec<_> =
            (10..20).map(|tag| (tag, message(&format!("m{tag}"), b"payload"))).collect();
        messages.push((30, message("tag", b"p")));
        messages.push((31, signed));
        messages.push((32, message("last", b"")));
        let sent = heard(&[known(), messages.clone()]).pop().unwrap();
        assert_eq!((lengths(&sent), sent.messages.len()), (vec![10, 1], 2));
        assert_eq!((sent.len(), sent.into_messages()), (messages.len(), messages));
    }

    #[test]
    fn a_run_is_neither_long_nor_large_and_holds_little_of_a_frame_that_is_not_its_own() {
        let many = |count, bytes| (10..10 + count).map(|tag| (tag, message("m", &vec![7; bytes]))).collect();
        let longest = RUN_MESSAGES_MAX as u64;
        let [_, long, large, one] =
            heard(&[known(), many(longest + 1, 1), many(3, RUN_BYTES_MAX / 2), many(1, 500_000)])
                .try_into()
                .unwrap();
        assert_eq!(lengths(&long), [RUN_MESSAGES_MAX, 1]);
        assert_eq!(lengths(&large), [1, 1, 1]);
        assert_eq!(lengths(&one), [1]);
        let held = |sent: &Sent| sent.runs.back().unwrap().1.bytes.len();
        assert!(held(&long) < 100, "{}", held(&long));
        assert!(held(&one) >= 500_000);
    }

    #[test]
    fn what_is_delivered_of_a_run_is_what_was_sent() {
        let messages: Vec<_> = (1..=40).map(|tag| (tag, message(&format!("m{tag}"), &[tag as u8]))).collect();
        let (first, run) = heard(&[known(), messages.clone()]).pop().unwrap().runs.remove(0).unwrap();
        assert_eq!(first, 1);
        let run = Arc::new(run);
        let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
        assert_eq!(run.first(26).bytes.len(), run.places[25].payload.end as usize);
        for (number, run) in [(5, Arc::new(run.first(26))), (70_000, run)] {
            let delivery = RunDelivery { subscription: 3, number, run, messages: 26 };
            let mut bytes = Vec::new();
            encoder.encode_run(&delivery, &mut bytes).unwrap();
            let expected: Vec<_> = (number..)
                .zip(&messages[..26])
                .map(|(number, (_, envelope))| Delivery::Message {
                    subscription: 3,
                    number,
                    envelope: Arc::new(envelope.clone()),
                })
                .collect();
            assert_eq!(delivery.deliveries().collect::<Vec<_>>(), expected);
            assert_eq!(decoder.decode_server(&bytes[4..]), Ok(ServerFrame::Deliver(expected)));
        }
    }

    #[test]
    fn the_tail_of_a_bare_message_is_as_it_is_encoded() {
        let mut written = Vec::new();
        super::put_tail(&mut written);
        assert_eq!(written, minicbor::to_vec((None::<Proof>, Transit::default())).unwrap()[1..]);
    }
}
