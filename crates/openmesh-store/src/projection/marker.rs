//! Tells an index that may have been torn by a power cut from one that is whole.
//!
//! The index is not synced while it is written: the log's syncs are not to wait for it. As long as the machine runs, what
//! was written is there, whatever became of the program. So a file beside the index names the run of the machine in which
//! the index is written, and goes when the index was closed and synced. One of an earlier run means that the machine
//! went down meanwhile.

use super::ProjectionFault;
use rustix::fs::fsync;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const FILE_NAME: &str = "being-written";
/// Linux's name for the run of the machine; new at each boot.
const RUN: &str = "/proc/sys/kernel/random/boot_id";

/// Notes that the index in the folder is being written from here on. Errors: `Unfit` if it was when the machine went
/// down.
pub(super) fn set(folder: &Path) -> Result<(), ProjectionFault> {
    let fault = |cause| ProjectionFault::Folder { folder: folder.to_owned(), cause };
    // Without a name for it no run is like another, and an index that was not closed is built anew.
    let run = fs::read_to_string(RUN).unwrap_or_default();
    match fs::read(folder.join(FILE_NAME)) {
        Ok(earlier) if !earlier.is_empty() && earlier == run.as_bytes() => return Ok(()),
        Ok(_) => {
            return Err(ProjectionFault::Unfit(
                "the machine went down while it was being written".to_owned(),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fault(error)),
    }
    let mut file = File::create(folder.join(FILE_NAME)).map_err(fault)?;
    file.write_all(run.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)?;
    sync_folder(folder).map_err(fault)
}

/// Notes that the index in the folder is whole: everything of it is synced.
pub(super) fn close(folder: &Path) -> io::Result<()> {
    sync_folder(folder)?;
    clear(folder)
}

/// Notes that there is no index.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(FILE_NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(folder),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    Ok(fsync(File::open(folder)?)?)
}

#[cfg(test)]
mod tests {
    use super::{FILE_NAME, ProjectionFault, clear, close, set};

    #[test]
    fn only_one_of_an_earlier_run_of_the_machine_is_unfit() {
        let folder = tempfile::tempdir().unwrap();
        set(folder.path()).unwrap();
        set(folder.path()).unwrap();
        clear(folder.path()).unwrap();
        clear(folder.path()).unwrap();
        set(folder.path()).unwrap();
        for run in ["3c0d5cf6-9b3a-4b7c-8d19-an-earlier-run\n", ""] {
            std::fs::write(folder.path().join(FILE_NAME), run).unwrap();
            assert!(matches!(set(folder.path()), Err(ProjectionFault::Unfit(_))), "{run}");
        }
        close(folder.path()).unwrap();
        set(folder.path()).unwrap();
    }
}
