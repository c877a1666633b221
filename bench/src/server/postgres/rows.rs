//! The records of a log as rows of one table.

use super::Postgres;
use super::line::Line;
use crate::fill::{Corpus, payload, topic_path};
use anyhow::{Context, Result};
use std::fmt::Write;

/// Bytes of rows that are sent at a time.
const COPIED_BYTES: usize = 256 * 1024;
const TABLE: &str = "CREATE TABLE records (seq bigint, at bigint, sender text, id text, topic text, \
                     conversation text, performative text, payload text)";
const INDEXES: [&str; 8] = [
    "ALTER TABLE records ADD PRIMARY KEY (seq)",
    "CREATE INDEX ON records (id)",
    "CREATE INDEX ON records (sender, seq)",
    "CREATE INDEX ON records (topic, seq)",
    "CREATE INDEX ON records (conversation, seq)",
    "CREATE INDEX ON records (at)",
    "VACUUM ANALYZE records",
    "CHECKPOINT",
];
/// Statements by the column that is asked for; each is the first page.
const QUESTIONS: [(&str, &str); 5] = [
    ("id", "SELECT * FROM records WHERE id = $1 ORDER BY seq LIMIT 100"),
    ("sender", "SELECT * FROM records WHERE sender = $1 ORDER BY seq LIMIT 100"),
    ("topic", "SELECT * FROM records WHERE topic = $1 ORDER BY seq LIMIT 100"),
    ("conversation", "SELECT * FROM records WHERE conversation = $1 ORDER BY seq LIMIT 100"),
    ("at", "SELECT * FROM records WHERE at >= $1 ORDER BY at LIMIT 100"),
];

/// A connection to the table.
pub(crate) struct Rows(Line);

impl Rows {
    /// Connects.
    pub(crate) fn open(server: &Postgres) -> Result<Self> {
        Ok(Self(Line::connect(server.address)?))
    }

    /// Makes the table, copies the rows of a corpus in, then makes the indexes and prepares the questions.
    pub(crate) fn load(&mut self, corpus: &Corpus, messages: u64) -> Result<()> {
        self.0.run(TABLE)?;
        self.0.begin_copy("COPY records FROM STDIN")?;
        let mut rows = String::with_capacity(COPIED_BYTES * 2);
        for index in 0..messages {
            write_row(&mut rows, corpus, index)?;
            if rows.len() >= COPIED_BYTES {
                self.0.copy(rows.as_bytes())?;
                rows.clear();
            }
        }
        self.0.copy(rows.as_bytes())?;
        self.0.end_copy()?;
        for statement in INDEXES {
            self.0.run(statement)?;
        }
        for (name, statement) in QUESTIONS {
            self.0.prepare(name, statement)?;
        }
        Ok(())
    }

    /// The first page of what has this value in a column; how many rows it has.
    pub(crate) fn ask(&mut self, column: &str, value: &str) -> Result<usize> {
        self.0.ask(column, value)
    }
}

/// One row in the text format of COPY.
fn write_row(rows: &mut String, corpus: &Corpus, index: u64) -> Result<()> {
    let sender = corpus.sender(index).context("every message has a sender")?.id();
    let (seq, at, id) = (index + 1, corpus.at(index).millis(), Corpus::id(index));
    write!(rows, "{seq}\t{at}\t{sender}\t{id}\t")?;
    match corpus.conversation(index) {
        Some(conversation) => write!(rows, "\\N\t{conversation}\trequest\t")?,
        None => write!(rows, "{}\t\\N\tinform\t", topic_path(Corpus::topic(index)))?,
    }
    rows.push_str(std::str::from_utf8(&payload(index))?);
    rows.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::write_row;
    use crate::fill::Corpus;
    use openmesh_message::DomainId;

    #[test]
    fn rows_have_as_many_columns_as_the_table() {
        let corpus = Corpus::new(DomainId::from_bytes([1; 32]), 0, 1, None).unwrap();
        let mut rows = String::new();
        write_row(&mut rows, &corpus, 0).unwrap();
        write_row(&mut rows, &corpus, 1).unwrap();
        for row in rows.lines() {
            assert_eq!(row.split('\t').count(), 8, "{row}");
        }
        assert!(rows.starts_with("1\t0\tdid:key:z6Mk") && rows.contains("\\N\t0190c9a0-"));
    }
}
