//! `openmesh completion`: scripts that let a shell complete commands.

use super::output::say_bytes;
use anyhow::Result;
use clap::ValueEnum;

/// Prints a completion script.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh completion bash > ~/.local/share/bash-completion/completions/openmesh
  $ openmesh completion zsh > ~/.zfunc/_openmesh
  $ openmesh completion fish > ~/.config/fish/completions/openmesh.fish")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(args: Args, command: &mut clap::Command) -> Result<()> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "openmesh", &mut script);
    say_bytes(&script)
}
