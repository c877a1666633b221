//! Reading much of a log as fast as it can be taken: one thread reads it, others decode, the caller takes what they come
//! to, in order.

use super::reader::{LogReader, PageLimit, Records};
use crate::fault::Fault;
use crate::record::StoredRecord;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::scope;

/// Threads that decode, at most.
const DECODERS_MAX: usize = 4;
/// Records that go from thread to thread together.
const BATCH: PageLimit = PageLimit { records: 256, bytes: 1024 * 1024 };
/// Batches that wait for a thread.
const BATCHES_WAITING_MAX: usize = 4;

type Batch<T> = Vec<Result<T, Fault>>;

impl LogReader {
    /// Hands every record from `from_seq` to the head of this moment through `decode`, on several threads, and then, in
    /// order, to `take`. A record that corruption took is an error item. The first error of `take` ends it.
    pub fn read_ahead<T: Send, E>(
        &self,
        from_seq: u64,
        decode: impl Fn(StoredRecord) -> T + Sync,
        mut take: impl FnMut(Result<T, Fault>) -> Result<(), E>,
    ) -> Result<(), E> {
        let decoders = std::thread::available_parallelism().map_or(1, usize::from).min(DECODERS_MAX);
        let (decode, records) = (&decode, self.records(from_seq));
        scope(|threads| {
            let (mut raw_ways, mut done_ways) = (Vec::new(), Vec::new());
            for _ in 0..decoders {
                let (raw_in, raw_out) = sync_channel(BATCHES_WAITING_MAX);
                let (done_in, done_out) = sync_channel(BATCHES_WAITING_MAX);
                threads.spawn(move || decode_all(&raw_out, &done_in, decode));
                raw_ways.push(raw_in);
                done_ways.push(done_out);
            }
            threads.spawn(move || deal_out(records, &raw_ways));
            // Dealt out in turn, taken in turn: the order stays.
            let batches = done_ways.iter().cycle().map_while(|way| way.recv().ok());
            batches.flatten().try_for_each(&mut take)
        })
    }
}

fn deal_out(mut records: Records, ways: &[SyncSender<Batch<StoredRecord>>]) {
    for way in ways.iter().cycle() {
        let Some(batch) = records.next_items(BATCH) else { return };
        if way.send(batch).is_err() {
            return;
        }
    }
}

fn decode_all<T>(
    raw: &Receiver<Batch<StoredRecord>>,
    done: &SyncSender<Batch<T>>,
    decode: &impl Fn(StoredRecord) -> T,
) {
    for batch in raw {
        let decoded = batch.into_iter().map(|stored| stored.map(decode)).collect();
        if done.send(decoded).is_err() {
            return;
        }
    }
}
