//! Tells an index that may have been torn by a power cut from one that is whole.
//!
//! The index is not synced while it is written: the log's syncs are not to wait for it. As long as the machine runs, what
//! was written is there, whatever became of the program. So a file beside the index names the run of the machine in which
//! the index is written, and goes when the index was closed and synced. One of an earlier run means that the machine
//! went down meanwhile.
//!
//! Of one that was closed another file says what its bytes are: they are looked at before it is written again.

use super::ProjectionFault;
use rustix::fs::fsync;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

const FILE_NAME: &str = "being-written";
/// What the bytes of a closed index are: how many, and their CRC-32C.
const CLOSED_NAME: &str = "closed";
const PIECE_BYTES: usize = 1024 * 1024;
/// Linux's name for the run of the machine; new at each boot.
const RUN: &str = "/proc/sys/kernel/random/boot_id";

/// Notes that the index in `database` is being written from here on. Errors: `Unfit` if it was when the machine went down,
/// or is not what was closed.
pub(super) fn set(folder: &Path, database: &Path) -> Result<(), ProjectionFault> {
    let fault = |cause| ProjectionFault::Folder { folder: folder.to_owned(), cause };
    // Without a name for it no run is like another, and an index that was not closed is built anew.
    let run = fs::read_to_string(RUN).unwrap_or_default();
    match fs::read_to_string(folder.join(FILE_NAME)) {
        Ok(earlier) if !earlier.is_empty() && earlier == run => {
            return remove(folder, CLOSED_NAME).map_err(fault);
        }
        Ok(_) => {
            return Err(ProjectionFault::Unfit(
                "the machine went down while it was being written".to_owned(),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fault(error)),
    }
    if database.exists() {
        let said = fs::read_to_string(folder.join(CLOSED_NAME)).unwrap_or_default();
        if said != describe(database).map_err(fault)? {
            return Err(ProjectionFault::Unfit("its bytes are not those that were closed".to_owned()));
        }
    }
    let mut file = File::create(folder.join(FILE_NAME)).map_err(fault)?;
    file.write_all(run.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)?;
    sync_folder(folder).and_then(|()| remove(folder, CLOSED_NAME)).map_err(fault)
}

/// Notes that the index in `database` is whole: everything of it is synced.
pub(super) fn close(folder: &Path, database: &Path) -> io::Result<()> {
    let mut file = File::create(folder.join(CLOSED_NAME))?;
    file.write_all(describe(database)?.as_bytes()).and_then(|()| file.sync_all())?;
    sync_folder(folder)?;
    remove(folder, FILE_NAME)
}

/// Notes that there is no index.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    remove(folder, CLOSED_NAME)?;
    remove(folder, FILE_NAME)
}

fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(folder),
    }
}

fn describe(database: &Path) -> io::Result<String> {
    let (mut file, mut piece) = (File::open(database)?, vec![0; PIECE_BYTES]);
    let (mut bytes, mut checksum) = (0_u64, 0);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(format!("{bytes} {checksum:08x}\n"));
        }
        checksum = crc32c::crc32c_append(checksum, piece.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    Ok(fsync(File::open(folder)?)?)
}

#[cfg(test)]
mod tests {
    use super::{CLOSED_NAME, FILE_NAME, ProjectionFault, clear, close, set};

    #[test]
    fn only_one_of_an_earlier_run_of_the_machine_is_unfit() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("database");
        let set = |folder: &std::path::Path| set(folder, &database);
        set(folder.path()).unwrap();
        set(folder.path()).unwrap();
        clear(folder.path()).unwrap();
        clear(folder.path()).unwrap();
        set(folder.path()).unwrap();
        for run in ["3c0d5cf6-9b3a-4b7c-8d19-an-earlier-run\n", ""] {
            std::fs::write(folder.path().join(FILE_NAME), run).unwrap();
            assert!(matches!(set(folder.path()), Err(ProjectionFault::Unfit(_))), "{run}");
        }
    }
    #[test]
    fn one_that_was_closed_is_unfit_when_a_byte_of_it_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, database) = (folder.path(), folder.path().join("database"));
        set(folder, &database).unwrap();
        std::fs::write(&database, b"what it holds").unwrap();
        close(folder, &database).unwrap();
        set(folder, &database).unwrap();
        close(folder, &database).unwrap();
        std::fs::write(&database, b"what it Holds").unwrap();
        assert!(matches!(set(folder, &database), Err(ProjectionFault::Unfit(_))));
        std::fs::write(&database, b"what it holds").unwrap();
        std::fs::remove_file(folder.join(CLOSED_NAME)).unwrap();
        assert!(matches!(set(folder, &database), Err(ProjectionFault::Unfit(_))));
    }
}
