//! The yardstick: a thread appends all records that wait to a file and syncs once, then says how many.
//!
//! The file is reserved ahead, as the node's segments are, so that a sync has no new length to write down.

use super::window::Wire;
use anyhow::{Context, Result};
use rustix::fs::FallocateFlags;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Bytes that are reserved, and begun again from the front when they are full.
const FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Groups that wait at most.
const GROUPS_MAX: usize = 4_096;

pub(super) struct Writer {
    groups: SyncSender<Range<usize>>,
    synced: Receiver<Range<usize>>,
    _thread: JoinHandle<Result<()>>,
}

impl Writer {
    pub(super) fn open(path: &Path, record_bytes: usize) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, FILE_BYTES)?;
        file.sync_all()?;
        let (groups, waiting) = sync_channel(GROUPS_MAX);
        let (said, synced) = sync_channel(GROUPS_MAX);
        let thread = std::thread::spawn(move || append(&file, record_bytes, &waiting, &said));
        Ok(Self { groups, synced, _thread: thread })
    }
}

impl Wire for Writer {
    fn send(&mut self, tags: Range<usize>) -> Result<()> {
        self.groups.send(tags).ok().context("the raw loop ended")
    }

    fn acknowledged(&mut self, tags: &mut Vec<usize>) -> Result<()> {
        tags.extend(self.synced.recv().context("the raw loop ended")?);
        while let Ok(more) = self.synced.try_recv() {
            tags.extend(more);
        }
        Ok(())
    }
}

fn append(
    file: &File,
    record_bytes: usize,
    waiting: &Receiver<Range<usize>>,
    said: &SyncSender<Range<usize>>,
) -> Result<()> {
    let mut at = 0;
    let mut bytes = Vec::new();
    while let Ok(mut group) = waiting.recv() {
        // Tags come in order, so that groups join.
        while let Ok(more) = waiting.try_recv() {
            group.end = more.end;
        }
        bytes.resize(group.len() * record_bytes, b'x');
        let end = at + bytes.len() as u64;
        if end > FILE_BYTES {
            at = 0;
        }
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        at += bytes.len() as u64;
        if said.send(group).is_err() {
            break;
        }
    }
    Ok(())
}
