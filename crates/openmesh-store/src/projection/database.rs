//! The index's database: its tables, its settings, and how it is told from one that does not fit.
//!
//! SQLite in WAL mode, synced when it is closed only; after a power cut it is built anew (see `marker`).

use super::{Indexed, ProjectionFault, marker};
use crate::failpoint;
use crate::planted::{self, Planted};
use openmesh_message::Digest;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// `OMix`, so that no other database passes for an index.
const APPLICATION_ID: i32 = 0x4f4d_6978;
/// The version of these tables; the caller's version of terms is kept beside it.
const TABLES_VERSION: u32 = 3;
const FILE_NAME: &str = "index.sqlite3";
/// How many records stand in one row of times.
pub(super) const SPAN_RECORDS: u64 = 128;

const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;";
const TABLES: &str = "
    CREATE TABLE posting (term INTEGER, seq INTEGER, at_byte INTEGER NOT NULL, PRIMARY KEY (term, seq)) WITHOUT ROWID, STRICT;
    CREATE TABLE topic (path TEXT PRIMARY KEY, term INTEGER NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE span (span INTEGER PRIMARY KEY, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL) STRICT;
    CREATE TABLE covered (
        one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, chain_seq INTEGER NOT NULL, chain BLOB NOT NULL
    ) STRICT;
    INSERT INTO covered VALUES (1, 0, 0, zeroblob(32));";

/// How far an index has come, and what tells its log from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    /// The last record looked at.
    pub(super) seq: u64,
    /// The last record that was there, and its chain value.
    pub(super) chain_seq: u64,
    pub(super) chain: [u8; 32],
}

/// Opens the index, or makes an empty one. Errors: `Unfit` where there is one that cannot go on.
pub(super) fn open_to_write(folder: &Path, version: u32) -> Result<(Connection, Covered), ProjectionFault> {
    let fault = |cause| ProjectionFault::Folder { folder: folder.to_owned(), cause };
    std::fs::create_dir_all(folder).map_err(fault)?;
    marker::set(folder, &file(folder))?;
    failpoint::reached("index.marked");
    let connection = Connection::open(file(folder)).map_err(told)?;
    connection.set_prepared_statement_cache_capacity(16);
    connection.execute_batch("PRAGMA cache_size = -32768;").map_err(told)?;
    connection.execute_batch(SETTINGS).map_err(told)?;
    let version = version << 16 | TABLES_VERSION;
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let found = (pragma("application_id").map_err(told)?, pragma("user_version").map_err(told)?);
    if found == (0, 0) {
        let tables = format!(
            "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; COMMIT;"
        );
        connection.execute_batch(&tables).map_err(told)?;
    } else if found != (i64::from(APPLICATION_ID), i64::from(version)) {
        return Err(ProjectionFault::Unfit(format!("its format is {}, not {version}", found.1)));
    }
    let covered = read_covered(&connection).map_err(|fault| ProjectionFault::Unfit(fault.to_string()))?;
    Ok((connection, covered))
}

/// Gives back the memory of pages that are not in use.
pub(super) fn let_go_of_pages(connection: &Connection) -> Result<(), ProjectionFault> {
    connection.execute_batch("PRAGMA shrink_memory;").map_err(told)
}

/// Opens the index for questions.
pub(super) fn open_to_read(folder: &Path) -> Result<Connection, ProjectionFault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file(folder), flags).map_err(told)?;
    connection.set_prepared_statement_cache_capacity(16);
    connection.execute_batch("PRAGMA cache_size = -8192; PRAGMA mmap_size = 1073741824;").map_err(told)?;
    // Else each statement is planned anew for each value that is bound, and the plan is always the same.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(told)?;
    Ok(connection)
}

/// Closes the index so that a power cut does not harm it any more.
pub(super) fn close(folder: &Path, connection: Connection) -> Result<(), ProjectionFault> {
    failpoint::reached("index.before-close");
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE);").map_err(told)?;
    connection.close().map_err(|(_, error)| told(error))?;
    let fault = |cause| ProjectionFault::Folder { folder: folder.to_owned(), cause };
    std::fs::File::open(file(folder)).and_then(|file| file.sync_all()).map_err(fault)?;
    marker::close(folder, &file(folder)).map_err(fault)?;
    failpoint::reached("index.closed");
    Ok(())
}

/// Throws the index away.
pub(super) fn remove(folder: &Path) -> Result<(), ProjectionFault> {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let path = folder.join(format!("{FILE_NAME}{ending}"));
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(ProjectionFault::Folder { folder: path, cause });
            }
            _ => {}
        }
    }
    marker::clear(folder).map_err(|cause| ProjectionFault::Folder { folder: folder.to_owned(), cause })
}

/// Adds records and how far they go, all or nothing.
pub(super) fn add(
    connection: &mut Connection,
    entries: &[Indexed],
    covered: Covered,
) -> Result<(), ProjectionFault> {
    if planted::has(Planted::TrustStaleIndex) {
        write_covered(connection, covered)?;
    }
    let transaction = connection.transaction().map_err(told)?;
    let mut postings: Vec<Posting> = entries.iter().flat_map(postings_of).collect();
    // In the order of the tree: neighbours go to one page.
    postings.sort_unstable();
    {
        let mut insert =
            transaction.prepare_cached("INSERT OR IGNORE INTO posting VALUES (?1, ?2, ?3)").map_err(told)?;
        for posting in postings {
            insert.execute(posting).map_err(told)?;
        }
        let mut insert =
            transaction.prepare_cached("INSERT OR IGNORE INTO topic VALUES (?1, ?2)").map_err(told)?;
        for (path, term) in entries.iter().filter_map(|indexed| indexed.entry.topic.as_ref()) {
            insert.execute((path, term.cast_signed())).map_err(told)?;
        }
        let mut upsert = transaction
            .prepare_cached(
                "INSERT INTO span VALUES (?1, ?2, ?2) ON CONFLICT DO UPDATE
                 SET first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)",
            )
            .map_err(told)?;
        for Indexed { seq, entry, .. } in entries {
            upsert.execute(((seq / SPAN_RECORDS).cast_signed(), entry.at)).map_err(told)?;
        }
    }
    write_covered(&transaction, covered)?;
    failpoint::reached("index.before-commit");
    transaction.commit().map_err(told)?;
    failpoint::reached("index.committed");
    Ok(())
}

/// A term, a record that has it, and where that lies.
type Posting = (i64, i64, i64);

fn postings_of(indexed: &Indexed) -> impl Iterator<Item = Posting> {
    let Indexed { seq, at_byte, entry } = indexed;
    entry.terms.iter().map(|term| (term.cast_signed(), seq.cast_signed(), at_byte.cast_signed()))
}

fn write_covered(connection: &Connection, covered: Covered) -> Result<(), ProjectionFault> {
    let mut update =
        connection.prepare_cached("UPDATE covered SET seq = ?1, chain_seq = ?2, chain = ?3").map_err(told)?;
    let Covered { seq, chain_seq, chain } = covered;
    update.execute((seq.cast_signed(), chain_seq.cast_signed(), chain)).map_err(told)?;
    Ok(())
}

/// Forgets records before the first one that the log still has.
pub(super) fn forget_before(connection: &mut Connection, first_seq: u64) -> Result<(), ProjectionFault> {
    let first_span = (first_seq / SPAN_RECORDS).cast_signed();
    let oldest: Option<i64> = connection
        .prepare_cached("SELECT min(span) FROM span")
        .and_then(|mut select| select.query_row([], |row| row.get(0)))
        .map_err(told)?;
    if oldest.is_none_or(|oldest| oldest >= first_span) {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(told)?;
    transaction.execute("DELETE FROM posting WHERE seq < ?1", [first_seq.cast_signed()]).map_err(told)?;
    transaction.execute("DELETE FROM span WHERE span < ?1", [first_span]).map_err(told)?;
    transaction.commit().map_err(told)
}

/// Puts what is left of some records in the place of what was known of them.
pub(super) fn replace(
    connection: &mut Connection,
    seqs: &BTreeSet<u64>,
    left: &[Indexed],
) -> Result<(), ProjectionFault> {
    let transaction = connection.transaction().map_err(told)?;
    for seq in seqs {
        transaction.execute("DELETE FROM posting WHERE seq = ?1", [seq.cast_signed()]).map_err(told)?;
    }
    for posting in left.iter().flat_map(postings_of) {
        transaction.execute("INSERT OR IGNORE INTO posting VALUES (?1, ?2, ?3)", posting).map_err(told)?;
    }
    transaction.commit().map_err(told)
}

/// How far the index has come.
pub(super) fn read_covered(connection: &Connection) -> Result<Covered, ProjectionFault> {
    let mut select = connection.prepare_cached("SELECT seq, chain_seq, chain FROM covered").map_err(told)?;
    let row = select.query_row([], |row| {
        Ok(Covered {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            chain_seq: row.get::<_, i64>(1)?.cast_unsigned(),
            chain: row.get(2)?,
        })
    });
    let found = row.optional().map_err(told)?;
    found.ok_or_else(|| ProjectionFault::Unfit("it does not say how far it goes".to_owned()))
}

/// Damage makes an index unfit; anything else may pass.
pub(super) fn told(error: rusqlite::Error) -> ProjectionFault {
    let is_damage = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        _ => false,
    };
    if is_damage { ProjectionFault::Unfit(error.to_string()) } else { ProjectionFault::Unusable(error) }
}

/// The chain value as the log names it.
pub(super) const fn chain_of(covered: &Covered) -> Digest {
    Digest::from_bytes(covered.chain)
}

fn file(folder: &Path) -> PathBuf {
    folder.join(FILE_NAME)
}
