//! A log read from its folder, also while a node writes it: nothing is changed.

use crate::cli::context::{Context, Names};
use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use crate::stored::record_of;
use anyhow::Result;
use openmesh_core::record::Record;
use openmesh_core::{Config, Partition};
use openmesh_message::{Authority, Custodian, Digest, DomainId};
use openmesh_policy::Policy;
use openmesh_store::{FIRST_SEQ, Fault, LoadedSnapshot, LogReader, ReadOnlyReport, open_read_only};
use std::path::{Path, PathBuf};

/// The log's folder: that of the node named, else of the node in the home folder.
pub(super) fn folder(data: Option<&Path>, context: &Context) -> Result<PathBuf> {
    let folder = match data {
        Some(data) => data.to_owned(),
        None => context.home()?.node(),
    };
    let log = folder.join("log");
    let found = if log.is_dir() { log } else { folder };
    if found.is_dir() {
        return Ok(found);
    }
    let next = "name a node's folder with --data; the first `openmesh up` makes one";
    Err(Failure::not_found(format!("there is no log in {}", found.display())).next(next).into())
}

/// Opens a log for reading.
pub(super) fn open(folder: &Path) -> Result<(LogReader, ReadOnlyReport)> {
    Ok(open_read_only(folder)?)
}

/// The records from a number on, damaged ones left out but counted in `lost`.
pub(super) fn records(
    log: &LogReader,
    from_seq: u64,
    mut each: impl FnMut(Record) -> Result<bool>,
) -> Result<u64> {
    let mut lost = 0;
    for stored in log.records(from_seq) {
        let stored = match stored {
            Ok(stored) => stored,
            Err(Fault::Damaged { .. }) => {
                lost += 1;
                continue;
            }
            Err(fault) => return Err(fault.into()),
        };
        let record = record_of(&stored).map_err(|error| {
            let what = format!("record {}: {error}", stored.position);
            Failure::new(Exit::Damaged, what).next("`openmesh log verify` lists all damage")
        })?;
        if !each(record)? {
            break;
        }
    }
    Ok(lost)
}

/// Learns names from registrations.
pub(super) fn learn(names: &mut Names, record: &Record) {
    if let Some((agent, name)) = record.header.outcome.registered() {
        names.learn(agent.to_string(), name.to_owned());
    }
}

/// A partition for recovery only: it decides nothing, so policy and tokens do not matter.
pub(super) fn partition(snapshot: Option<&[u8]>, domain: DomainId) -> Result<Partition> {
    let config = Config::new(domain, Digest::ZERO, [0; 32], Custodian::new([0; 32]));
    let policy = Policy::default_closed();
    Ok(match snapshot {
        Some(snapshot) => Partition::restore(config, policy, snapshot)?,
        None => Partition::new(config, policy),
    })
}

/// What the log's records follow on: nothing where it has all of them, else the state that a checkpoint or snapshot holds.
pub(super) fn beginning<'a>(
    log: &LogReader,
    report: &'a ReadOnlyReport,
) -> Result<Option<&'a LoadedSnapshot>> {
    let first_seq = log.first_seq();
    if first_seq <= FIRST_SEQ {
        return Ok(None);
    }
    let missing = || {
        let what =
            format!("the log begins with record {first_seq}, and no whole checkpoint says what came before");
        Failure::new(Exit::Damaged, what)
            .next("put back the newest checkpoint-….state from a backup of the folder")
    };
    report.snapshot.as_ref().map(Some).ok_or_else(|| missing().into())
}

/// The domain that unqualified things belong to, as far as it is known.
pub(super) fn domain(context: &Context) -> DomainId {
    match context.authority() {
        Authority::Domain(domain) => domain,
        Authority::OpenMesh => DomainId::from_bytes([0; 32]),
    }
}
