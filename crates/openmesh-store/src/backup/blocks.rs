//! The blocks of a backup: each with its kind, its number and a checksum; the last with a digest of all before it.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use crate::embedded::bytes::{newer_version, prologue, u32_at};
use crate::fault::Fault;

/// Content of one block at most.
pub(super) const BLOCK_BYTES_MAX: usize = 1024 * 1024;
/// The newest format this program reads, and the one it writes.
const BACKUP_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"OMBACKUP";
const PROLOGUE_BYTES: usize = 16;
const HEAD_BYTES: usize = 16;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the backup is of; the first.
    About,
    /// A file kept beside the log.
    File,
    /// A segment begins: its bytes follow in pieces.
    Segment,
    /// A snapshot or checkpoint begins.
    State,
    /// Bytes of what began last.
    Piece,
    /// The digest of everything before; the last.
    End,
}

impl Kind {
    const ALL: [Self; 6] = [Self::About, Self::File, Self::Segment, Self::State, Self::Piece, Self::End];

    const fn code(self) -> u32 {
        match self {
            Self::About => 1,
            Self::File => 2,
            Self::Segment => 3,
            Self::State => 4,
            Self::Piece => 5,
            Self::End => 6,
        }
    }
}

/// Writes a backup block by block.
pub(super) struct BlockWriter<W> {
    out: W,
    digest: Sha256,
    next: u32,
}

impl<W: Write> BlockWriter<W> {
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut writer = Self { out, digest: Sha256::new(), next: 0 };
        writer.put(&prologue(MAGIC, BACKUP_VERSION))?;
        Ok(writer)
    }

    pub(super) fn block(&mut self, kind: Kind, content: &[u8]) -> io::Result<()> {
        let bytes = u32::try_from(content.len()).map_err(io::Error::other)?;
        let mut head = kind.code().to_le_bytes().to_vec();
        head.extend_from_slice(&self.next.to_le_bytes());
        head.extend_from_slice(&bytes.to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&head), content);
        head.extend_from_slice(&checksum.to_le_bytes());
        self.put(&head)?;
        self.put(content)?;
        self.next += 1;
        Ok(())
    }

    /// Ends the backup with the digest of all of it, which it gives.
    pub(super) fn end(mut self) -> io::Result<[u8; 32]> {
        let digest: [u8; 32] = self.digest.clone().finalize().into();
        self.block(Kind::End, &digest)?;
        self.out.flush()?;
        Ok(digest)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads a backup block by block, and believes none that does not check.
pub(super) struct BlockReader<R> {
    input: R,
    file: String,
    digest: Sha256,
    next: u32,
    pub(super) read_bytes: u64,
    pub(super) ended: Option<[u8; 32]>,
}

impl<R: Read> BlockReader<R> {
    /// Errors: `Damaged` (also what is no backup), `Newer`, `Io`.
    pub(super) fn begin(input: R, file: &str) -> Result<Self, Fault> {
        let mut reader =
            Self { input, file: file.to_owned(), digest: Sha256::new(), next: 0, read_bytes: 0, ended: None };
        let bytes = reader.take(PROLOGUE_BYTES)?;
        if let Some(found) = newer_version(&bytes, MAGIC, BACKUP_VERSION) {
            return Err(Fault::Newer { file: reader.file, found, supported: BACKUP_VERSION });
        }
        if bytes != prologue(MAGIC, BACKUP_VERSION) {
            return Err(reader.damaged());
        }
        reader.digest.update(&bytes);
        Ok(reader)
    }

    /// The next block; none after the last, which must be the file's end. Errors: `Damaged`, `Io`.
    pub(super) fn next(&mut self) -> Result<Option<(Kind, Vec<u8>)>, Fault> {
        if self.ended.is_some() {
            let mut more = [0];
            return match self.input.read(&mut more) {
                Ok(0) => Ok(None),
                _ => Err(self.damaged()),
            };
        }
        let head = self.take(HEAD_BYTES)?;
        let field = |at| u32_at(&head, at).unwrap_or_default();
        let kind = Kind::ALL.into_iter().find(|kind| kind.code() == field(0));
        let length = usize::try_from(field(8)).unwrap_or(usize::MAX);
        let (Some(kind), true, true) = (kind, field(4) == self.next, length <= BLOCK_BYTES_MAX) else {
            return Err(self.damaged());
        };
        let content = self.take(length)?;
        let checked = head.get(..12).map(crc32c::crc32c).unwrap_or_default();
        if crc32c::crc32c_append(checked, &content) != field(12) {
            return Err(self.damaged());
        }
        if kind == Kind::End {
            let digest: [u8; 32] = self.digest.clone().finalize().into();
            if content != digest {
                return Err(self.damaged());
            }
            self.ended = Some(digest);
        }
        self.digest.update(&head);
        self.digest.update(&content);
        self.next += 1;
        Ok(Some((kind, content)))
    }

    pub(super) fn damaged(&self) -> Fault {
        Fault::Damaged { file: self.file.clone(), seq: None }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; length];
        match self.input.read_exact(&mut bytes) {
            Ok(()) => {
                self.read_bytes += length as u64;
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged()),
            Err(error) => Err(Fault::io("read", std::path::Path::new(&self.file), &error)),
        }
    }
}
