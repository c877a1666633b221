//! What somebody who asks is shown of records as they are stored: each decided, matched, narrowed, and written as text.

use super::readership::Readership;
use super::seen::narrow;
use super::{Matcher, as_seen_by};
use crate::record::{Body, Glance, InboxLog, Record, RecordError, Texts, decode_header, to_json, to_text};
use crate::view::View;
use openmesh_message::frame::LogFilter;
use openmesh_message::{AgentId, Timestamp};
use serde_json::Value;

/// A record as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The encoded header.
    pub header: &'a [u8],
    /// Blinds the header's commitment.
    pub salt: &'a [u8; 16],
    /// The encoded body.
    pub body: &'a [u8],
    /// Whether salt and body were erased.
    pub is_erased: bool,
}

/// Somebody who looks for what a filter names, at one moment.
pub struct Looking<'a> {
    view: &'a View,
    reader: AgentId,
    inbox: InboxLog,
    readership: Readership<'a>,
    matcher: Matcher,
    now: Timestamp,
    texts: Texts,
    text_bytes_max: usize,
}

impl<'a> Looking<'a> {
    /// Looks as `reader`. A record whose text is longer than `text_bytes_max` is shown without its payload.
    pub fn new(
        view: &'a View,
        reader: AgentId,
        filter: &LogFilter,
        now: Timestamp,
        text_bytes_max: usize,
    ) -> Self {
        Self {
            view,
            reader,
            inbox: InboxLog::of(&reader),
            readership: Readership::new(view, reader),
            matcher: Matcher::new(filter),
            now,
            texts: Texts::default(),
            text_bytes_max,
        }
    }

    /// A record as JSON, if the reader may read it and what it sees of it fits: what it does not see must not be found
    /// out by asking for it.
    ///
    /// # Errors
    /// When the bytes are no record, or the body is not the one committed to.
    pub fn show(&mut self, stored: Stored<'_>) -> Result<Option<String>, RecordError> {
        let Stored { header, salt, body, is_erased } = stored;
        let read = decode_header(header)?;
        if !self.matcher.fits_header(&read) {
            return Ok(None);
        }
        if is_erased {
            return Ok(self.show_record(&Record { header: read, body: Body::Erased }));
        }
        if let Some(glance) = Glance::read(read, salt, body)? {
            let shown = self.show_message(glance);
            if shown.as_ref().is_none_or(|text| text.len() <= self.text_bytes_max) {
                return Ok(shown);
            }
        }
        Ok(self.show_record(&Record::decode(header, salt, body)?))
    }

    fn show_message(&mut self, mut glance: Glance<'_>) -> Option<String> {
        if !self.matcher.matches(&glance) || !self.readership.may_read(&glance, self.now) {
            return None;
        }
        let narrowed = narrow(self.view, (&self.reader, &self.inbox), &mut glance.header);
        if narrowed.hides_body {
            glance.message.attributes.clear();
        }
        let still_fits = !narrowed.hides_any || self.matcher.matches(&glance);
        still_fits.then(|| to_text(&glance, !narrowed.hides_body, &mut self.texts))
    }

    fn show_record(&mut self, record: &Record) -> Option<String> {
        if !self.matcher.matches(record) || !self.readership.may_read(record, self.now) {
            return None;
        }
        let seen = as_seen_by(self.view, &self.reader, record);
        self.matcher.matches(&seen).then(|| self.text_of(&seen))
    }

    fn text_of(&self, seen: &Record) -> String {
        let mut row = to_json(seen);
        let text = row.to_string();
        if text.len() <= self.text_bytes_max {
            return text;
        }
        if let Some(payload) = row.pointer_mut("/message/payload") {
            *payload = Value::Null;
        }
        if let Some(row) = row.as_object_mut() {
            row.insert("truncated".to_owned(), Value::Bool(true));
        }
        row.to_string()
    }
}
