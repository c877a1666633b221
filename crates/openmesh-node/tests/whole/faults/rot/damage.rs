//! What is done to the files of a log, and what it may cost.

use std::fmt;

/// What happens to one file.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Flip {
        at: usize,
        bit: usize,
    },
    Put {
        at: usize,
        bytes: Vec<u8>,
    },
    /// Back to what was there once.
    Turn {
        at: usize,
        bytes: Vec<u8>,
    },
    Cut {
        at: usize,
    },
    Gone,
}

/// How much may be lost.
#[derive(Clone, Debug)]
pub(super) enum Loss {
    /// So many records.
    Records(usize),
    /// The records that touch these bytes: file, first byte, the byte after the last.
    On(Vec<(String, usize, usize)>),
}

/// What happens at once.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) changes: Vec<(String, Change)>,
    pub(super) loss: Loss,
}

impl Hit {
    pub(super) const fn of(changes: Vec<(String, Change)>, loss: Loss) -> Self {
        Self { changes, loss }
    }

    /// Whether it takes a page that ends after a byte, and begins before it, back to what it once was.
    pub(super) fn turns_back(&self, file: &str, byte: usize) -> bool {
        self.changes.iter().any(|(name, change)| match change {
            Change::Turn { at, bytes } => name == file && (*at..at + bytes.len()).contains(&byte),
            _ => false,
        })
    }

    /// Whether ends are cut off and nothing else.
    pub(super) fn only_cuts(&self) -> bool {
        self.changes.iter().all(|(_, change)| matches!(change, Change::Cut { .. }))
    }

    /// Whether a file is hit.
    pub(super) fn is_on(&self, file: &str) -> bool {
        self.changes.iter().any(|(name, _)| name == file)
    }
}

impl Change {
    /// The file after it; `None` for none.
    pub(super) fn made_of(&self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Flip { at, bit } => bytes[*at] ^= 1 << bit,
            Self::Put { at, bytes: put } | Self::Turn { at, bytes: put } => {
                bytes[*at..at + put.len()].copy_from_slice(put)
            }
            Self::Cut { at } => bytes.truncate(*at),
            Self::Gone => return None,
        }
        Some(bytes)
    }
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, change)) in self.changes.iter().enumerate() {
            f.write_str(if index > 0 { " and " } else { "" })?;
            match change {
                Change::Flip { at, bit } => write!(f, "bit {bit} of byte {at}"),
                Change::Put { at, bytes } | Change::Turn { at, bytes } => {
                    write!(f, "{} bytes at {at}", bytes.len())
                }
                Change::Cut { at } => write!(f, "cut at {at}"),
                Change::Gone => f.write_str("all"),
            }?;
            write!(f, " of {name}")?;
        }
        Ok(())
    }
}
