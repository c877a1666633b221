//! Every `openmesh` command that the README and the docs show is run, page by page, in a home of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Pages whose commands can be run in order.
const PAGES: [&str; 3] = ["README.md", "docs/first-agents.md", "docs/cli.md"];
/// Commands that the pages show and that a test cannot run: the build tool's own.
const BUILD_COMMANDS: [&str; 5] = ["cargo xtask", "cargo build", "export PATH=", "git clone", "cd openmesh"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The commands of a page, in order; a backslash at the end of a line continues it.
fn commands(page: &str) -> Vec<String> {
    let (mut inside, mut commands, mut unfinished) = (false, Vec::new(), None::<String>);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside && line.trim() == "```console";
            continue;
        }
        let command = match (&unfinished, line.strip_prefix("$ ")) {
            (Some(before), _) => format!("{before} {}", line.trim()),
            (None, Some(command)) if inside => command.to_owned(),
            _ => continue,
        };
        match command.strip_suffix('\\') {
            Some(more_follows) => unfinished = Some(more_follows.trim().to_owned()),
            None => {
                unfinished = None;
                commands.push(command);
            }
        }
    }
    commands
}

/// A shell script that runs the commands, each shown before it runs; the first that fails ends it.
///
/// A command followed by `# exit N` must end with that code.
fn script(commands: &[String]) -> String {
    let mut script = String::from("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n");
    for command in commands {
        if BUILD_COMMANDS.iter().any(|build| command.starts_with(build)) {
            continue;
        }
        let command = command.replace("cargo run --release -- ", "openmesh ");
        script += &format!("echo '+' {}\n", quote(&command));
        match command.rsplit_once("# exit ") {
            Some((command, code)) => {
                script += &format!("code=0; {command} || code=$?; [ $code -eq {code} ]\n");
            }
            None => script += &format!("{command}\n"),
        }
        if command.starts_with("openmesh up") {
            script += "for i in $(seq 600); do [ -e \"$OPENMESH_HOME/node/endpoint.json\" ] && break; sleep 0.1; done\n";
        }
    }
    script + "echo 'all commands ran'\n"
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn every_documented_command_runs() {
    let binary = Path::new(env!("CARGO_BIN_EXE_openmesh"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    for page in PAGES {
        let home = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        let commands = commands(&text);
        let shown =
            commands.iter().filter(|command| command.contains("openmesh") || command.contains("cargo run"));
        assert!(shown.count() >= 1, "{page} shows no command");
        let ran = Command::new("timeout")
            .args(["300", "bash", "-c", &script(&commands)])
            .current_dir(repository())
            .env("PATH", &path)
            .env("OPENMESH_HOME", home.path())
            .env("TMPDIR", home.path())
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success() && out.contains("all commands ran"), "{page}\n{out}\n{err}");
        println!("{page}: {} commands", commands.len());
    }
}
