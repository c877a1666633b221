//! Every `openmesh` command that the README and the docs show is run, page by page, in a home of its own.
//!
//! Blocks marked `console` hold commands, each after `$ `; one that ends in `&` runs in the background, and the
//! next waits for its first output; `# exit N` is a command's exit code, 0 where nothing is said. A block marked
//! `file=NAME` is a file in the working folder.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pages.
const PAGES: [&str; 5] =
    ["README.md", "docs/first-agents.md", "docs/cli.md", "docs/http.md", "docs/operating/tls.md"];
/// Commands for the reader's shell that a test has no use for.
const NOT_OURS: [&str; 4] = ["cargo build", "cargo xtask", "export PATH", "git clone"];

/// Where a node serves HTTP unless told otherwise; the test's nodes take a free port.
const HTTP: &str = "127.0.0.1:7448";

/// What a page has to run.
enum Part {
    Command(String),
    File { name: String, text: String },
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for block in page.split("\n```").skip(1).step_by(2) {
        let (heading, text) = block.split_once('\n').unwrap_or((block, ""));
        if let Some((_, name)) = heading.split_once("file=") {
            parts.push(Part::File { name: name.trim().to_owned(), text: format!("{text}\n") });
        }
        if heading.trim() == "console" {
            let commands = text.lines().filter_map(|line| line.strip_prefix("$ "));
            parts.extend(commands.map(|command| Part::Command(command.to_owned())));
        }
    }
    parts
}

/// A shell script that runs the parts, each shown before it runs; the first that ends otherwise than said ends it.
fn script(parts: &[Part]) -> String {
    let mut script = String::from("set -u\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n");
    for (index, part) in parts.iter().enumerate() {
        let Part::Command(command) = part else { continue };
        if NOT_OURS.iter().any(|other| command.starts_with(other)) {
            continue;
        }
        let command = command.replace("cargo run --release -- ", "openmesh ");
        writeln!(script, "echo '+' {}", quote(&command)).unwrap();
        let (command, code) = match command.rsplit_once("# exit ") {
            Some((command, code)) => (command.trim().to_owned(), code.trim().to_owned()),
            None => (command, "0".to_owned()),
        };
        match command.strip_suffix('&') {
            Some(command) => {
                writeln!(script, "{command} >out.{index} 2>&1 &").unwrap();
                writeln!(script, "for i in $(seq 600); do [ -s out.{index} ] && break; sleep 0.1; done")
                    .unwrap();
            }
            None => {
                writeln!(script, "{command}").unwrap();
                writeln!(
                    script,
                    "code=$?; [ $code -eq {code} ] || {{ echo \"exit $code, not {code}\"; exit 99; }}"
                )
                .unwrap();
            }
        }
    }
    script + "echo 'all commands ran'\n"
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn every_documented_command_runs() {
    let binary = Path::new(env!("CARGO_BIN_EXE_openmesh"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    for page in PAGES {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(repository().join("examples"), folder.path().join("examples")).unwrap();
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        let parts = parts(&text);
        for part in &parts {
            if let Part::File { name, text } = part {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
        }
        let http = free_address();
        let script = script(&parts).replace(HTTP, &http);
        let commands = script.matches("echo '+'").count();
        assert!(commands > 5, "{page} shows {commands} commands");
        let ran = Command::new("timeout")
            .args(["300", "bash", "-c", &script])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("OPENMESH_HOME", folder.path().join("home"))
            .env("OPENMESH_LISTEN", "127.0.0.1:0")
            .env("OPENMESH_HTTP", &http)
            .env("TMPDIR", folder.path())
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success() && out.contains("all commands ran"), "{page}\n{out}\n{err}");
        println!("{page}: {commands} commands ran");
    }
}
