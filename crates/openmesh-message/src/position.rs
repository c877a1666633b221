//! Where a record stands: in the physical log of its partition and in the logical logs it belongs to.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The number of a partition within its domain.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct PartitionId(#[n(0)] pub u32);

/// The place of a record in its partition's physical log; (epoch, seq) is never used twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
pub struct Position {
    /// The partition whose log this is.
    #[n(0)]
    pub partition: PartitionId,
    /// Grows at every unclean open and change of owner.
    #[n(1)]
    pub epoch: u32,
    /// Grows by one with each record.
    #[n(2)]
    pub seq: u64,
}

/// The name of a logical log: `topic/<path>`, `inbox/<did>`, `conversation/<uuid>`, `domain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct LogName(#[cbor(n(0), with = "shared_text")] pub Arc<str>);

/// A record's gap-free number in one logical log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
pub struct LogSeq {
    /// The logical log.
    #[n(0)]
    pub log: LogName,
    /// From 1, gap-free.
    #[n(1)]
    pub seq: u64,
}

impl fmt::Display for Position {
    /// `partition.epoch.seq`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.partition.0, self.epoch, self.seq)
    }
}

/// Why a text is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a position: partition.epoch.seq")]
pub struct PositionError(String);

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let read = || {
            let mut parts = text.splitn(3, '.');
            let partition = PartitionId(parts.next()?.parse().ok()?);
            let position =
                Self { partition, epoch: parts.next()?.parse().ok()?, seq: parts.next()?.parse().ok()? };
            Some(position).filter(|position| position.to_string() == text)
        };
        read().ok_or_else(|| PositionError(crate::limits::excerpt(text)))
    }
}

/// Text that what bears it shares.
pub mod shared_text {
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decoder, Encoder};
    use std::sync::Arc;

    /// Encodes it as any text.
    pub fn encode<C, W: Write>(
        text: &Arc<str>,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        encoder.str(text)?.ok()
    }

    /// Decodes any text.
    pub fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Arc<str>, DecodeError> {
        decoder.str().map(Arc::from)
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LogSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.log, self.seq)
    }
}
