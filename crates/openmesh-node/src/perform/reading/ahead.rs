//! Reads records that are asked for one by one, ahead where they lie close together: mail that waits in an inbox mostly
//! does.

use openmesh_store::{Fault, LogReader, PageLimit, StoredRecord};

/// Records read at once, at most.
const AHEAD_MAX: usize = 512;
/// Bytes read at once, but always one record.
const AHEAD_BYTES: usize = 512 * 1024;
/// Records that lie no further on are read over rather than looked for.
const NEAR: u64 = 16;
/// The same where it is known at which byte a record begins: there it costs little to read it alone.
const NEAR_KNOWN: u64 = 3;

/// Reads records in rising order, or any other.
pub(in crate::perform) struct Ahead<'a> {
    log: &'a LogReader,
    page: Vec<StoredRecord>,
    next_seq: u64,
    records: usize,
}

impl<'a> Ahead<'a> {
    pub(in crate::perform) const fn new(log: &'a LogReader) -> Self {
        Self { log, page: Vec::new(), next_seq: 0, records: 1 }
    }

    /// A record; none where it is lost, or not kept.
    pub(in crate::perform) fn get(&mut self, seq: u64) -> Result<Option<StoredRecord>, Fault> {
        self.get_at(seq, None, AHEAD_MAX)
    }

    /// The same for who may know at which byte of its segment the record begins, and wants no more than so many.
    pub(in crate::perform) fn get_at(
        &mut self,
        seq: u64,
        at_byte: Option<u64>,
        wanted: usize,
    ) -> Result<Option<StoredRecord>, Fault> {
        let near = if at_byte.is_some() { NEAR_KNOWN } else { NEAR };
        let is_near = seq >= self.next_seq && seq - self.next_seq < near;
        if self.page.is_empty()
            || seq >= self.next_seq
            || self.page.first().is_some_and(|first| seq < first.position.seq)
        {
            let more = (self.records * 4).min(AHEAD_MAX).min(wanted.max(1));
            self.records = if is_near { more } else { 1 };
            if self.records == 1 {
                self.next_seq = seq + 1;
                let found = match at_byte {
                    Some(at) => self.log.get_at_byte(seq, at),
                    None => self.log.get(seq),
                };
                self.page.clear();
                self.page.extend(found?);
            } else {
                let limit = PageLimit { records: self.records, bytes: AHEAD_BYTES };
                let page = self.log.scan_at_byte(seq, at_byte, limit)?;
                self.next_seq = page.next_seq.max(seq + 1);
                self.page = page.records;
            }
        }
        let found = self.page.binary_search_by_key(&seq, |record| record.position.seq).ok();
        match found.and_then(|place| self.page.get(place)) {
            Some(record) => Ok(Some(record.clone())),
            // Lost, or not kept: asked for alone, the log says which.
            None => self.log.get(seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ahead;
    use openmesh_message::{PartitionId, Position};
    use openmesh_store::{EmbeddedLog, EncodedRecord, LogConfig};

    #[test]
    fn every_record_is_found_in_whatever_order_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let partition = PartitionId(0);
        let config = LogConfig { cache_bytes: 0, segment_bytes: 256 * 1024, ..LogConfig::new(partition) };
        let (mut log, _) = EmbeddedLog::open(folder.path(), &config).unwrap();
        let record = |seq| EncodedRecord {
            position: Position { partition, epoch: log.epoch(), seq },
            header: seq.to_be_bytes().to_vec(),
            salt: [0; 16],
            body: vec![7; 600],
        };
        let records: Vec<_> = (1..=2_000).map(record).collect();
        records.chunks(50).for_each(|batch| log.append(batch).unwrap());
        log.sync().unwrap();
        let reader = log.reader();
        let orders: [Vec<u64>; 5] = [
            (1..=2_000).collect(),
            (1..=2_000).rev().collect(),
            (1..=2_000).step_by(7).collect(),
            (1..=2_000).step_by(50).collect(),
            (1..=2_100).map(|n| n * 769 % 2_101).collect(),
        ];
        for order in orders {
            let (mut ahead, mut told) = (Ahead::new(&reader), Ahead::new(&reader));
            for seq in order {
                let expected = reader.get(seq).unwrap();
                assert_eq!(ahead.get(seq).unwrap(), expected, "{seq}");
                // Some are told a place where nothing begins, or another record, or nothing.
                let at = expected.as_ref().map_or(4_608, |record| record.at);
                let at = [Some(at), Some(at), Some(at + 8), Some(at + 712), None][seq as usize % 5];
                let wanted = seq as usize % 40;
                assert_eq!(
                    told.get_at(seq, at, wanted).unwrap(),
                    expected,
                    "{seq} at {at:?}, {wanted} wanted"
                );
            }
        }
    }
}
