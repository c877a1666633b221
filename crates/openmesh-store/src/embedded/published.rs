//! What the writer shares with readers: the segments, the synced head, and the bytes of recent batches, so that hot
//! reads touch no disk.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use openmesh_message::PartitionId;

use super::frame::{RecordHead, Seal};
use super::segment::Segment;
use crate::planted::{self, Planted};
use crate::record::{SeqRange, StoredRecord};

/// Shared by one writer and any number of readers.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) partition: PartitionId,
    segments: RwLock<Vec<Arc<Segment>>>,
    head_seq: AtomicU64,
    recent: Mutex<Recent>,
    /// Held to wait for a grown head.
    waiting: Mutex<()>,
    grown: Condvar,
}

impl Published {
    pub(crate) fn new(
        partition: PartitionId,
        segments: Vec<Arc<Segment>>,
        head_seq: u64,
        cache_bytes: usize,
    ) -> Self {
        let recent = Recent { batches: VecDeque::new(), bytes: 0, bytes_max: cache_bytes };
        Self {
            partition,
            segments: RwLock::new(segments),
            head_seq: AtomicU64::new(head_seq),
            recent: Mutex::new(recent),
            waiting: Mutex::new(()),
            grown: Condvar::new(),
        }
    }

    pub(crate) fn head_seq(&self) -> u64 {
        self.head_seq.load(Ordering::Acquire)
    }

    pub(crate) fn publish(&self, head_seq: u64) {
        self.head_seq.store(head_seq, Ordering::Release);
        // Whoever is about to wait has looked at the head under this lock.
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.grown.notify_all();
    }

    /// Waits until the head is above `seq` or the time is over; gives the head.
    pub(crate) fn wait_past(&self, seq: u64, at_most: Duration) -> u64 {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let still = |(): &mut ()| self.head_seq() <= seq;
        drop(self.grown.wait_timeout_while(waiting, at_most, still));
        self.head_seq()
    }

    pub(crate) fn add_segment(&self, segment: Arc<Segment>) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    /// Every segment, in order.
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Readers find this segment in the place of that of its number; who is reading that one goes on with it.
    pub(crate) fn replace(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let number = segment.header.number;
        if let Some(place) = segments.iter_mut().find(|other| other.header.number == number) {
            *place = segment;
        }
    }

    /// Readers find the first segment no more, unless it is the only one.
    pub(crate) fn remove_first(&self, number: u64) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if segments.len() > 1 && segments.first().is_some_and(|first| first.header.number == number) {
            segments.remove(0);
        }
    }

    /// Keeps none of the batches with these records in memory.
    pub(crate) fn forget_recent(&self, seqs: SeqRange) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).forget(seqs);
    }

    /// The chain value before the first record.
    pub(crate) fn first_chain(&self) -> Option<[u8; 32]> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.first().map(|segment| segment.header.chain)
    }

    pub(crate) fn first_seq(&self) -> u64 {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.first().map_or(u64::MAX, |segment| segment.header.first_seq)
    }

    /// The segment that holds `seq` and the last seq it can hold.
    pub(crate) fn segment_of(&self, seq: u64) -> Option<(Arc<Segment>, u64)> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| segment.header.first_seq <= seq);
        let segment = segments.get(after.checked_sub(1)?)?;
        let last = segments.get(after).map_or(u64::MAX, |next| next.header.first_seq - 1);
        Some((Arc::clone(segment), last))
    }

    /// The name of the file that holds `seq`, or would.
    pub(crate) fn file_of(&self, seq: u64) -> String {
        self.segment_of(seq).map_or_else(String::new, |(segment, _)| segment.name.clone())
    }

    /// Keeps a batch in memory; gives back the memory that it was written from, if that is not kept.
    pub(crate) fn remember(&self, batch: RecentBatch) -> Option<Vec<u8>> {
        let recent = || self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if batch.bytes.len() <= PIECE_BYTES {
            recent().push(batch);
            return None;
        }
        let pieces = batch.pieces();
        let mut recent = recent();
        pieces.into_iter().for_each(|piece| recent.push(piece));
        Some(batch.into_memory())
    }

    pub(crate) fn recent_batch(&self, seq: u64) -> Option<Arc<RecentBatch>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).find(seq)
    }
}

/// What a batch is cut into: pieces alike in size find room where others were, while each size of large ones has the
/// allocator keep room of its own.
pub(crate) const PIECE_BYTES: usize = 32 * 1024;

/// One batch as it was written, or a piece of it.
#[derive(Debug)]
pub(crate) struct RecentBatch {
    pub(crate) first_seq: u64,
    pub(crate) seal: Seal,
    /// Where it stands in its segment.
    pub(crate) at: u64,
    pub(crate) bytes: Bytes,
    /// Where in `bytes` each record begins, in order.
    pub(crate) starts: Vec<u32>,
}

impl RecentBatch {
    fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.starts.len() * 4
    }

    fn into_memory(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        // One byte is all that is moved to the front; without any the memory would be let go of.
        bytes.truncate(1);
        bytes.into()
    }

    /// The same in pieces of whole records.
    fn pieces(&self) -> Vec<Self> {
        let mut pieces = Vec::with_capacity(self.bytes.len() / PIECE_BYTES + 1);
        let (mut from, mut first) = (0, 0);
        for (record, start) in self.starts.iter().enumerate().skip(1) {
            let end = self.starts.get(record + 1).map_or(self.bytes.len(), |next| *next as usize);
            if end - from > PIECE_BYTES {
                pieces.push(self.piece(from..*start as usize, first..record));
                (from, first) = (*start as usize, record);
            }
        }
        pieces.push(self.piece(from..self.bytes.len(), first..self.starts.len()));
        pieces
    }

    fn piece(&self, bytes: Range<usize>, records: Range<usize>) -> Self {
        let from = bytes.start;
        let starts = self.starts.get(records.clone()).unwrap_or_default().iter();
        Self {
            first_seq: self.first_seq + records.start as u64,
            seal: self.seal,
            at: self.at + from as u64,
            bytes: Bytes::copy_from_slice(self.bytes.get(bytes).unwrap_or_default()),
            starts: starts.map(|start| start - from as u32).collect(),
        }
    }

    fn last_seq(&self) -> u64 {
        self.first_seq + (self.starts.len() as u64).saturating_sub(1)
    }

    pub(crate) fn get(&self, seq: u64, partition: PartitionId) -> Option<StoredRecord> {
        let index = usize::try_from(seq.checked_sub(self.first_seq)?).ok()?;
        let start = *self.starts.get(index)?;
        let frame = self.bytes.slice(usize::try_from(start).ok()?..);
        let at = self.at + u64::from(start);
        RecordHead::decode(&frame, self.seal, at)?.cut(&frame, partition, at)
    }
}

#[derive(Debug)]
struct Recent {
    batches: VecDeque<Arc<RecentBatch>>,
    bytes: usize,
    bytes_max: usize,
}

impl Recent {
    fn push(&mut self, batch: RecentBatch) {
        self.bytes += batch.memory_bytes();
        self.batches.push_back(Arc::new(batch));
        while self.bytes > self.bytes_max && !planted::has(Planted::KeepEveryBatch) {
            let Some(oldest) = self.batches.pop_front() else {
                break;
            };
            self.bytes -= oldest.memory_bytes();
        }
    }

    fn forget(&mut self, seqs: SeqRange) {
        let is_in = |batch: &RecentBatch| batch.first_seq <= seqs.last && batch.last_seq() >= seqs.first;
        self.batches.retain(|batch| !is_in(batch));
        self.bytes = self.batches.iter().map(|batch| batch.memory_bytes()).sum();
    }

    fn find(&self, seq: u64) -> Option<Arc<RecentBatch>> {
        let after = self.batches.partition_point(|batch| batch.first_seq <= seq);
        let batch = self.batches.get(after.checked_sub(1)?)?;
        (seq <= batch.last_seq()).then(|| Arc::clone(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE_BYTES, Published, RecentBatch, Seal};
    use bytes::Bytes;
    use openmesh_message::PartitionId;

    /// A log's thread that had no memory left for its next batch would have the system clear some for each.
    #[test]
    fn a_large_batch_is_kept_in_pieces_and_gives_its_memory_back() {
        let partition = PartitionId(0);
        let published = Published::new(partition, Vec::new(), 0, 1024 * 1024);
        for (spare, before) in [(0, 0), (4_096, 0), (4_096, 100)] {
            let mut memory = vec![7; before + PIECE_BYTES * 3];
            memory.reserve_exact(spare);
            let (capacity, bytes) = (memory.capacity(), Bytes::from(memory).slice(before..));
            let starts = (0..24).map(|record| record * PIECE_BYTES as u32 / 8).collect();
            let seal = Seal::new(&[1; 16], partition, 1);
            let batch = RecentBatch { first_seq: 1, seal, at: 0, bytes, starts };
            let given_back = published.remember(batch).unwrap();
            assert_eq!(given_back.capacity(), capacity);
            assert!(published.recent_batch(24).is_some_and(|piece| piece.first_seq > 1));
        }
    }
}
