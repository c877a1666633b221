//! What a start takes back from the log: every record after the snapshot, read on several threads, applied on one.

use anyhow::{Context, Result};
use openmesh_core::Partition;
use openmesh_core::record::{Recollection, Record};
use openmesh_store::{Fault, LogReader, StoredRecord};
use std::time::Instant;

/// What was taken back.
#[derive(Default)]
pub(crate) struct TakenBack {
    /// How many records.
    pub(crate) records: u64,
    /// Records that corruption took, in words.
    pub(crate) lost: Vec<String>,
    /// Whether bodies were missing on the way: only headers said what came of them, and no snapshot is made across them.
    pub(crate) has_gaps: bool,
}

/// Applies every record from one on.
pub(crate) fn take_back(log: &LogReader, from_seq: u64, partition: &mut Partition) -> Result<TakenBack> {
    let (begun, mut taken) = (Instant::now(), TakenBack::default());
    log.read_ahead(from_seq, recollect, |item| match item {
        Ok(recollection) => {
            let recollection = recollection?;
            partition.recollect(&recollection);
            taken.has_gaps |= recollection.is_erased();
            taken.records += 1;
            Ok(())
        }
        Err(fault @ Fault::Damaged { .. }) => {
            taken.lost.push(fault.to_string());
            Ok(())
        }
        Err(fault) => Err(anyhow::Error::from(fault)),
    })?;
    let ms = begun.elapsed().as_millis();
    tracing::info!(records = taken.records, lost = taken.lost.len(), ms, "took back what the log has");
    Ok(taken)
}

/// Reads a stored record for recovery.
pub(crate) fn recollect(stored: StoredRecord) -> Result<Recollection<'static>> {
    let recollection = if stored.is_erased {
        Record::decode_erased(&stored.header).map(Recollection::from)
    } else {
        Recollection::decode(&stored.header, &stored.salt, &stored.body)
    };
    recollection.with_context(|| format!("record {}", stored.position))
}
