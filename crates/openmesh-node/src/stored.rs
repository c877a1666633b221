//! From what the log holds to what the core reads.

use openmesh_core::record::{Record, RecordError};
use openmesh_store::StoredRecord;

/// The record, checked against the commitment in its header unless its body was erased.
pub(crate) fn record_of(stored: &StoredRecord) -> Result<Record, RecordError> {
    if stored.is_erased {
        return Record::decode_erased(&stored.header);
    }
    Record::decode(&stored.header, &stored.salt, &stored.body)
}
