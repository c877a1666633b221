//! Runs: messages of one form that came one behind the other without proof and transit part, left as the bytes they came as.
//!
//! What is not signed, not kept and not changed on its way needs no envelope: a run is handed on as its bytes.

use super::alike::Own;
use super::interned::{encode_attributes, put_tail};
use super::{Delivery, EncodeTable, Encoded, FrameWriter};
use crate::attributes::Form;
use crate::{Attributes, Envelope, Transit};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Messages of one run: its deliveries fit a frame even where each has all its attributes written out.
const RUN_MESSAGES_MAX: usize = 128;
/// Bytes of a run of more than one message, so that what is more urgent does not wait long for it.
const RUN_BYTES_MAX: usize = 64 * 1024;

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

/// One message as a connection sent it, or many that are alike.
#[derive(Clone, Debug)]
pub enum Sent {
    /// With its tag.
    One(u64, Box<Envelope>),
    /// With the first one's tag; those of the others follow it.
    Run(u64, Run),
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
    /// Which of the run they are.
    pub range: Range<usize>,
}

impl Sent {
    /// How many messages.
    pub const fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Run(_, run) => run.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each message by itself, with its tag.
    pub fn messages(self) -> impl Iterator<Item = (u64, Envelope)> {
        let (one, run) = match self {
            Self::One(tag, envelope) => (Some((tag, *envelope)), None),
            Self::Run(first, run) => (None, Some((first, run))),
        };
        let of_run = run.into_iter().flat_map(|(first, run)| {
            (0..run.len()).filter_map(move |index| Some((first + index as u64, run.envelope(index)?)))
        });
        one.into_iter().chain(of_run)
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
        self.within(0..self.len())
    }

    /// Bytes of payload and attributes of each.
    pub fn sizes(&self) -> impl Iterator<Item = usize> + Clone {
        self.sizes_within(0..self.len())
    }

    /// Takes the messages from one on off its end.
    pub fn split_off(&mut self, from: usize) -> Self {
        let places = self.places.split_off(from.min(self.places.len()));
        Self { form: Arc::clone(&self.form), bytes: self.bytes.clone(), places }
    }

    /// A message by itself, which holds none of the run's bytes.
    pub fn envelope(&self, index: usize) -> Option<Envelope> {
        let Lone { id, time, payload } = self.within(index..index + 1).next()?;
        Some(Envelope {
            attributes: Attributes::of_form(&self.form, id, time)?,
            payload: Bytes::copy_from_slice(payload),
            proof: None,
            transit: Transit::default(),
        })
    }

    fn sizes_within(&self, range: Range<usize>) -> impl Iterator<Item = usize> + Clone {
        let places = self.places.get(range).unwrap_or_default();
        places.iter().map(|Place { id, time, payload }| self.form.bytes(id.len(), time.len()) + payload.len())
    }

    fn within(&self, range: Range<usize>) -> impl Iterator<Item = Lone<'_>> {
        let places = self.places.get(range).unwrap_or_default();
        places.iter().map(|Place { id, time, payload }| Lone {
            id: self.text(id),
            time: self.text(time),
            payload: self.part(payload),
        })
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
    /// How many messages.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Bytes of payload and attributes of each.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.run.sizes_within(self.range.clone())
    }

    /// Each message by itself.
    pub fn deliveries(&self) -> impl Iterator<Item = Delivery> {
        let numbers = self.number..;
        self.range.clone().zip(numbers).filter_map(|(index, number)| {
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
        has_room && Arc::ptr_eq(&self.form, form) && self.first.checked_add(self.places.len() as u64) == Some(tag)
    }

    /// Adds a message, by where its own stands in the frame: a frame is far shorter than what a place can say.
    pub(super) fn add(&mut self, own: &Own, payload: Range<usize>) {
        let [id, time] = &own.texts;
        if self.places.is_empty() {
            self.span.start = id.start.min(time.start);
        }
        self.span.end = payload.end;
        let place = |range: &Range<usize>| narrow(range.start - self.span.start)..narrow(range.end - self.span.start);
        self.places.push(Place { id: place(id), time: place(time), payload: place(&payload) });
    }

    /// The run, which holds the frame only where it is most of it: else little would hold much.
    pub(super) fn end(self, frame: &Bytes) -> Sent {
        let Self { first, form, span, places } = self;
        let bytes = match frame.get(span.clone()) {
            Some(part) if span.len() < frame.len() / 2 => Bytes::copy_from_slice(part),
            Some(part) => frame.slice_ref(part),
            None => Bytes::new(),
        };
        Sent::Run(first, Run { form, bytes, places })
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Writes the deliveries of a run.
pub(super) fn encode_run(e: &mut FrameWriter<'_>, delivery: &RunDelivery, table: &mut EncodeTable) -> Encoded {
    let RunDelivery { subscription, number, run, range } = delivery;
    e.array(2)?.u8(2)?.array(range.len() as u64)?;
    for (number, message) in (*number..).zip(run.within(range.clone())) {
        super::put_delivery_head(e, *subscription, number)?;
        if !table.forms.write_own(&run.form, message.id, message.time, e.writer_mut()) {
            let attributes = Attributes::of_form(&run.form, message.id, message.time).unwrap_or_default();
            encode_attributes(e, &attributes, table)?;
        }
        e.bytes(message.payload)?;
        put_tail(e.writer_mut());
    }
    Ok(())
}
