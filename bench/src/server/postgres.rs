//! PostgreSQL in a folder of its own, and one table of records in it.

mod line;
mod rows;

pub(crate) use rows::Rows;

use crate::process::Process;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where its programs are, by version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Who it runs as: it refuses to be run by root.
const USER: &str = "postgres";
/// It is only asked, once its rows are loaded: nothing rests on what it syncs.
const SETTINGS: [&str; 10] = [
    "-c",
    "shared_buffers=4GB",
    "-c",
    "max_wal_size=8GB",
    "-c",
    "maintenance_work_mem=1GB",
    "-c",
    "fsync=off",
    "-c",
    "full_page_writes=off",
];

/// A running PostgreSQL.
pub(crate) struct Postgres {
    process: Process,
    address: SocketAddr,
    /// Where its tables are.
    cluster: PathBuf,
}

/// The user and group that its programs run as, where this program is root.
#[derive(Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

impl Postgres {
    /// Starts it on a new folder; also tells its version.
    pub(crate) fn start(folder: &Path) -> Result<(Self, String)> {
        let programs = programs().context("PostgreSQL is not installed")?;
        let user = user()?;
        let cluster = cluster(folder, user)?;
        let mut make = command(&programs.join("initdb"), user);
        make.arg("-D").arg(&cluster).args(["-A", "trust", "-U", USER, "--no-sync"]).stdout(Stdio::null());
        let made = make.output().context("cannot start initdb")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr).trim());
        let address = super::free_address()?;
        let mut serve = command(&programs.join("postgres"), user);
        serve.arg("-D").arg(&cluster).args(["-p", &address.port().to_string()]);
        serve.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]).args(SETTINGS);
        let mut process = Process::start("postgres", &mut serve, folder.join("stderr"))?;
        process.wait_ready(|_| Ok(line::Line::connect(address).ok()))?;
        let version = crate::machine::version(&programs.join("postgres"), "--version")?;
        Ok((Self { process, address, cluster }, version))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its own children end with it only if it ends by itself, and for a client that stays connected it would wait.
        let _ = self.process.stop_by(Signal::INT);
        let _ = std::fs::remove_dir_all(&self.cluster);
    }
}

/// A folder for its tables. Another user may not be able to enter the one that was given: it has one among the system's
/// temporary files.
fn cluster(folder: &Path, user: Option<User>) -> Result<PathBuf> {
    let Some(User { id, group }) = user else {
        let cluster = folder.join("cluster");
        std::fs::create_dir_all(&cluster)?;
        return Ok(cluster);
    };
    let cluster = std::env::temp_dir().join(format!("openmesh-bench-postgres-{}", std::process::id()));
    std::fs::create_dir(&cluster).context("PostgreSQL's folder")?;
    std::os::unix::fs::chown(&cluster, Some(id), Some(group))?;
    Ok(cluster)
}

fn command(program: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    if let Some(User { id, group }) = user {
        command.uid(id).gid(group);
    }
    command.current_dir("/");
    command
}

/// The folder of the newest version's programs.
fn programs() -> Option<PathBuf> {
    let folders = std::fs::read_dir(VERSIONS).ok()?;
    let programs = folders.flatten().map(|folder| folder.path().join("bin"));
    programs.filter(|folder| folder.join("initdb").is_file()).max()
}

fn user() -> Result<Option<User>> {
    if !rustix::process::getuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let found = users.lines().find_map(entry);
    found
        .map(Some)
        .with_context(|| format!("there is no user {USER}, and PostgreSQL refuses to be run by root"))
}

/// The ids in its line of the list of users.
fn entry(line: &str) -> Option<User> {
    let mut items = line.split(':');
    if items.next()? != USER {
        return None;
    }
    let mut items = items.skip(1);
    Some(User { id: items.next()?.parse().ok()?, group: items.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::entry;

    #[test]
    fn the_user_is_found_by_name() {
        let user =
            entry("postgres:x:105:113:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash").unwrap();
        assert_eq!((user.id, user.group), (105, 113));
        assert!(entry("root:x:0:0:root:/root:/bin/bash").is_none());
    }
}
