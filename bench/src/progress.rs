//! What is being done at the moment, on a terminal.

use std::io::{IsTerminal, Write};

/// Says what is done at the moment, in the place of what was said before; nothing where nobody looks.
pub(crate) fn doing(what: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[2K{what}");
        let _ = stderr.flush();
    }
}

/// Takes the line away.
pub(crate) fn done() {
    doing("");
}

/// Says something that stays.
pub(crate) fn note(what: &str) {
    done();
    let _ = writeln!(std::io::stderr(), "{what}");
}
