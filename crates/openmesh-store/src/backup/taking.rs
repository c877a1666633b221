//! Takes a backup of a log, also while a node writes it: nothing of the log is changed or held up.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use openmesh_message::Digest;

use super::blocks::{BLOCK_BYTES_MAX, BlockWriter, Kind};
use super::{BackupAbout, BackupFile, StateKind};
use crate::embedded::frozen::{Frozen, FrozenSegment};
use crate::fault::Fault;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupTaken {
    /// What it says of itself.
    pub about: BackupAbout,
    /// Records in it.
    pub records: u64,
    /// Places of the log that were damaged already; they are in it as they are.
    pub damaged: u64,
    /// The digest at its end.
    pub digest: Digest,
}

/// Writes a backup of the log in `folder` to `out`: its segments up to what is synced, its newest snapshot, and `files`.
/// `progress` is told the log's bytes written and in all. Errors: as `open_read_only`, and `Io` where `out` fails.
pub fn back_up(
    folder: &Path,
    (owner, made_at): (&str, i64),
    files: &[BackupFile],
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<BackupTaken, Fault> {
    let frozen = Frozen::look(folder)?;
    let log_bytes = frozen.segments.iter().map(|segment| segment.kept).sum();
    let about = BackupAbout {
        partition: frozen.partition,
        epoch: frozen.epoch,
        last_seq: frozen.last_seq,
        chain: Digest::from_bytes(frozen.chain),
        made_at,
        segments: u32::try_from(frozen.segments.len()).unwrap_or(u32::MAX),
        log_bytes,
        owner: owner.to_owned(),
    };
    let failed = |error: std::io::Error| Fault::io("write", Path::new("the backup"), &error);
    let mut writer = BlockWriter::begin(out).map_err(failed)?;
    writer.block(Kind::About, &about.encode()).map_err(failed)?;
    for file in files {
        let mut content = file.code.to_le_bytes().to_vec();
        content.extend_from_slice(&file.content);
        writer.block(Kind::File, &content).map_err(failed)?;
    }
    for (kind, seq, bytes) in states(folder, &frozen)? {
        let mut head = kind.code().to_le_bytes().to_vec();
        head.extend_from_slice(&seq.to_le_bytes());
        head.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        writer.block(Kind::State, &head).map_err(failed)?;
        for piece in bytes.chunks(BLOCK_BYTES_MAX) {
            writer.block(Kind::Piece, piece).map_err(failed)?;
        }
    }
    let mut done = 0;
    for segment in &frozen.segments {
        let mut head = segment.number.to_le_bytes().to_vec();
        head.extend_from_slice(&segment.file_bytes.to_le_bytes());
        head.extend_from_slice(&segment.kept.to_le_bytes());
        writer.block(Kind::Segment, &head).map_err(failed)?;
        let mut at = 0;
        while at < segment.kept {
            let piece = piece_of(segment, at)?;
            writer.block(Kind::Piece, &piece).map_err(failed)?;
            at += piece.len() as u64;
            progress(done + at, log_bytes);
        }
        done += segment.kept;
    }
    let digest = Digest::from_bytes(writer.end().map_err(failed)?);
    Ok(BackupTaken { about, records: frozen.records, damaged: frozen.damaged, digest })
}

fn piece_of(segment: &FrozenSegment, at: u64) -> Result<Vec<u8>, Fault> {
    let length = usize::try_from(segment.kept - at).unwrap_or(usize::MAX).min(BLOCK_BYTES_MAX);
    let mut piece = segment.read(at, length)?;
    // A file shorter than it says is read as if zeros followed.
    piece.resize(length, 0);
    Ok(piece)
}

/// The newest whole snapshot of what is in the backup, and every checkpoint.
fn states(folder: &Path, frozen: &Frozen) -> Result<Vec<(StateKind, u64, Vec<u8>)>, Fault> {
    let mut found: Vec<_> = frozen.names.iter().filter_map(|name| StateKind::of_name(name)).collect();
    found.sort_unstable_by_key(|(kind, seq)| (kind.code(), std::cmp::Reverse(*seq)));
    let mut states = Vec::new();
    let mut has_snapshot = false;
    for (kind, seq) in found {
        let wanted = kind == StateKind::Checkpoint || (!has_snapshot && seq <= frozen.last_seq);
        if !wanted {
            continue;
        }
        let path = folder.join(kind.file_name(seq));
        let bytes = match File::open(&path).and_then(read_all) {
            Ok(bytes) => bytes,
            // A writer keeps the last two alone.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Fault::io("read", &path, &error)),
        };
        if kind == StateKind::Snapshot {
            has_snapshot = frozen.is_whole_snapshot(&bytes, seq);
            if !has_snapshot {
                continue;
            }
        }
        states.push((kind, seq, bytes));
    }
    Ok(states)
}

fn read_all(mut file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes)?;
    Ok(bytes)
}
