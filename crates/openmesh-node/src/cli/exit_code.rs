//! What the program's exit code means; scripts rest on these numbers.

use std::process::ExitCode;

/// How a run of the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something went wrong that has no code of its own.
    Failure = 1,
    /// The command line, or a file named on it, makes no sense.
    Usage = 2,
    /// The node refused, and said why.
    Refused = 3,
    /// No node could be reached, or it did not prove itself.
    Unreachable = 4,
    /// Nobody can say whether a message was taken in.
    Unknown = 5,
    /// The log is damaged, or a replay differs from it.
    Damaged = 6,
    /// What was asked for does not exist.
    NotFound = 7,
}

/// The table at the end of `openmesh --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  usage: the command line, or a file named on it, makes no sense
  3  refused by the node: the problem is printed
  4  cannot connect
  5  unknown outcome: send the same message again
  6  verification found damage, or a replay differs from the log
  7  not found

First steps:
  $ openmesh up                          start a node; keep it running
  $ openmesh agent new alice             in another terminal: make a key
  $ openmesh agent register alice        tell the node
  $ openmesh sub 'news/**' &             listen
  $ openmesh pub news/today 'hello'      talk";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, HELP};

    #[test]
    fn the_help_lists_every_code() {
        let codes = [
            (Exit::Failure, "failed"),
            (Exit::Usage, "usage"),
            (Exit::Refused, "refused"),
            (Exit::Unreachable, "cannot connect"),
            (Exit::Unknown, "unknown outcome"),
            (Exit::Damaged, "damage"),
            (Exit::NotFound, "not found"),
        ];
        for (exit, word) in codes {
            let line = HELP.lines().find(|line| line.starts_with(&format!("  {}  ", exit as u8)));
            assert!(line.is_some_and(|line| line.contains(word)), "{exit:?}");
        }
    }
}
