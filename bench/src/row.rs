//! The rows, one file each.

mod publish;

use crate::report::Row;
use crate::run::Stage;
use anyhow::Result;

/// A row by its name.
pub(crate) struct Play {
    pub(crate) id: &'static str,
    pub(crate) play: fn(&Stage) -> Result<Row>,
}

/// Every row there is, in the order they are played.
pub(crate) const PLAYS: &[Play] = &[Play { id: "P2", play: publish::play }];
