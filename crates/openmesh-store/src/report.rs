//! What an open found wrong with the files, and what it did about it.

use crate::record::SeqRange;

/// Everything an open had to drop, cross or skip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The torn tail: bytes past the last whole record, never promised to anyone.
    pub dropped: Option<DroppedRange>,
    /// Damage to what once was synced.
    pub corrupt: Vec<CorruptRange>,
    /// Snapshots that could not be used.
    pub bad_snapshots: Vec<BadSnapshot>,
}

impl RecoveryReport {
    /// True when there was nothing to report.
    pub fn is_clean(&self) -> bool {
        self.dropped.is_none() && self.corrupt.is_empty() && self.bad_snapshots.is_empty()
    }
}

impl std::fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.dropped.iter().map(|dropped| {
            let DroppedRange { segment, from_byte, to_byte, reason } = dropped;
            format!("dropped a torn tail: {segment} bytes {from_byte}..{to_byte}: {reason}")
        }));
        lines.extend(self.corrupt.iter().map(|corrupt| {
            let lost = corrupt.lost.map_or_else(|| "no record".to_owned(), |lost| lost.to_string());
            format!(
                "corrupt: {} bytes {}..{}: {lost} lost",
                corrupt.segment, corrupt.from_byte, corrupt.to_byte
            )
        }));
        lines.extend(self.bad_snapshots.iter().map(|bad| format!("skipped {}: {}", bad.file, bad.reason)));
        f.write_str(&lines.join("\n"))
    }
}

/// A torn tail that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedRange {
    /// File name of the segment.
    pub segment: String,
    /// Its first byte.
    pub from_byte: u64,
    /// The byte after its last.
    pub to_byte: u64,
    /// What was found there.
    pub reason: String,
}

/// Damage at or below the highest synced position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptRange {
    /// File name of the segment.
    pub segment: String,
    /// Its first byte.
    pub from_byte: u64,
    /// The byte after its last.
    pub to_byte: u64,
    /// The records lost with it; none when only framing was hit.
    pub lost: Option<SeqRange>,
}

/// A snapshot that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSnapshot {
    /// File name.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}
