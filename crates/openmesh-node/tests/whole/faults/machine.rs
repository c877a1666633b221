//! Pieces of a machine that a test makes and takes away again, also when it fails: disks in files, disks in memory,
//! programs that may not be there.

use std::path::{Path, PathBuf};
use std::process::Command;

/// EXT4_IOC_SHUTDOWN with the flag that writes nothing more, not even the journal: what a loss of power leaves.
const SHUT_DOWN: &str = "import fcntl,os,struct,sys
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(fd, 0x8004587D, struct.pack('I', 2))";

/// Where distributions keep the library that stands between a program and the clock.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// An ext4 file system on a loop device on a file.
pub(crate) struct LoopDisk {
    image: PathBuf,
    device: Option<String>,
    pub(crate) mount: PathBuf,
    is_mounted: bool,
}

/// A file system in memory, of a size.
pub(crate) struct MemoryDisk {
    pub(crate) mount: PathBuf,
    is_mounted: bool,
}

/// A group of processes that may use only so much of something together (cgroups, version 1).
pub(crate) struct ControlGroup {
    group: PathBuf,
    /// Where processes are that nothing is kept from.
    outside: PathBuf,
}

/// In each of these so much of a core may be used: short ones, so that a process never stands still for long.
const CORE_PERIOD_US: u64 = 5_000;

/// What stands between a program and the clock, if it is there.
pub(crate) fn faketime() -> Option<PathBuf> {
    FAKETIME.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Says loudly that a test did not run, for the closing count of the run.
pub(crate) fn not_run(name: &str, why: &str) {
    println!("not run: {name}: {why}");
}

/// Whether a program is on the search path.
pub(crate) fn has_program(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}

/// Whether this is root, and so may mount.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl LoopDisk {
    /// Makes and mounts one; an error says what this machine lacks.
    pub(crate) fn new(folder: &Path, mebibytes: u64) -> Result<Self, String> {
        if !is_root() {
            return Err("it takes root to mount".to_owned());
        }
        if let Some(lacks) =
            ["losetup", "mkfs.ext4", "mount", "python3"].iter().find(|name| !has_program(name))
        {
            return Err(format!("there is no {lacks}"));
        }
        let (image, mount) = (folder.join("disk.img"), folder.join("disk"));
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(mebibytes << 20).map_err(|error| error.to_string())?;
        std::fs::create_dir(&mount).map_err(|error| error.to_string())?;
        let mut disk = Self { image, device: None, mount, is_mounted: false };
        disk.attach()?;
        run("mkfs.ext4", &["-q", disk.device()])?;
        disk.mount()?;
        Ok(disk)
    }

    /// The power is gone: nothing more reaches the disk.
    pub(crate) fn cut(&self) {
        run("python3", &["-c", SHUT_DOWN, text(&self.mount)]).unwrap();
    }

    /// The power is back: the journal is played, and the disk is as it was when it was cut.
    pub(crate) fn restore(&mut self) {
        self.unmount().unwrap();
        self.detach().unwrap();
        self.attach().unwrap();
        self.mount().unwrap();
    }

    /// From here on nothing can be written, as after an error that the kernel met in the file system.
    pub(crate) fn make_read_only(&self) -> Result<(), String> {
        run("mount", &["-o", "remount,abort", text(&self.mount)])
    }

    fn device(&self) -> &str {
        self.device.as_deref().unwrap_or_default()
    }

    fn attach(&mut self) -> Result<(), String> {
        let ended = Command::new("losetup").args(["-f", "--show"]).arg(&self.image).output();
        let ended = ended.map_err(|error| error.to_string())?;
        if !ended.status.success() {
            return Err(format!("no loop device: {}", String::from_utf8_lossy(&ended.stderr).trim()));
        }
        self.device = Some(String::from_utf8_lossy(&ended.stdout).trim().to_owned());
        Ok(())
    }

    fn detach(&mut self) -> Result<(), String> {
        self.device.take().map_or(Ok(()), |device| run("losetup", &["-d", &device]))
    }

    fn mount(&mut self) -> Result<(), String> {
        run("mount", &["-t", "ext4", self.device(), text(&self.mount)])?;
        self.is_mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.is_mounted) { run("umount", &[text(&self.mount)]) } else { Ok(()) }
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        if self.unmount().is_err() {
            let _ = run("umount", &["-l", text(&self.mount)]);
        }
        let _ = self.detach();
    }
}

impl MemoryDisk {
    /// Makes and mounts one; an error says what this machine lacks.
    pub(crate) fn new(mount: &Path, mebibytes: u64) -> Result<Self, String> {
        if !is_root() {
            return Err("it takes root to mount".to_owned());
        }
        std::fs::create_dir_all(mount).map_err(|error| error.to_string())?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs", text(mount)])?;
        Ok(Self { mount: mount.to_owned(), is_mounted: true })
    }
}

impl Drop for MemoryDisk {
    fn drop(&mut self) {
        if std::mem::take(&mut self.is_mounted) && run("umount", &[text(&self.mount)]).is_err() {
            let _ = run("umount", &["-l", text(&self.mount)]);
        }
    }
}

impl ControlGroup {
    /// One with so much memory; an error says what this machine lacks.
    pub(crate) fn with_memory(name: &str, mebibytes: u64) -> Result<Self, String> {
        Self::new("memory", name, &[("memory.limit_in_bytes", mebibytes << 20)])
    }

    /// One with a part of one core; an error says what this machine lacks.
    pub(crate) fn with_part_of_a_core(name: &str, percent: u64) -> Result<Self, String> {
        let quota = CORE_PERIOD_US * percent / 100;
        Self::new("cpu", name, &[("cpu.cfs_period_us", CORE_PERIOD_US), ("cpu.cfs_quota_us", quota)])
    }

    fn new(controller: &str, name: &str, limits: &[(&str, u64)]) -> Result<Self, String> {
        let outside = Path::new("/sys/fs/cgroup").join(controller);
        let group = outside.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir(&group).map_err(|error| format!("no group of processes can be made: {error}"))?;
        let made = Self { group, outside };
        for (file, value) in limits {
            std::fs::write(made.group.join(file), value.to_string())
                .map_err(|error| format!("no limit can be set: {error}"))?;
        }
        Ok(made)
    }

    /// Holds a process to it from here on.
    pub(crate) fn hold(&self, process: u32) {
        std::fs::write(self.group.join("cgroup.procs"), process.to_string()).unwrap();
    }

    /// Lets a process go again; one that has ended is in no group.
    pub(crate) fn release(&self, process: u32) {
        let _ = std::fs::write(self.outside.join("cgroup.procs"), process.to_string());
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.group);
    }
}

/// The words that put a node behind strace, which then does something to each `fdatasync` that `when` says.
pub(crate) fn behind_strace(trace: &Path, what: &str) -> Vec<String> {
    let inject = format!("inject=fdatasync:{what}");
    let words =
        ["strace", "-D", "-f", "-q", "-o", trace.to_str().unwrap(), "-e", "trace=fdatasync", "-e", &inject];
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Why strace cannot be used here, if it cannot.
pub(crate) fn lacks_strace() -> Option<&'static str> {
    if !has_program("strace") {
        return Some("there is no strace");
    }
    let works =
        Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|ended| ended.success());
    (!works).then_some("strace may not trace here")
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let ended =
        Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    if ended.status.success() { Ok(()) } else { Err(format!("{program}: {said}")) }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
