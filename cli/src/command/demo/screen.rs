//! Writing to people: whole texts, and one line that is written over while something is going on.

use std::io::{self, IsTerminal as _, Write};

/// Goes to the begin of the line and clears it.
const CLEAR: &str = "\r\x1b[2K";

/// Writes a text and flushes it. Errors: nobody reads any more.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The line that is written over: on a terminal only, elsewhere each is a line of its own.
#[derive(Debug)]
pub(super) struct StatusLine<W> {
    out: W,
    terminal: bool,
}

impl StatusLine<io::Stdout> {
    /// On stdout.
    pub(super) fn stdout() -> Self {
        let out = io::stdout();
        Self {
            terminal: out.is_terminal(),
            out,
        }
    }
}

impl StatusLine<io::Stderr> {
    /// Progress, beside what goes to stdout.
    pub(super) fn stderr() -> Self {
        let out = io::stderr();
        Self {
            terminal: out.is_terminal(),
            out,
        }
    }
}

impl<W: Write> StatusLine<W> {
    /// Whether each line replaces the one before.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Shows a line in place of the one before. Errors: nobody reads any more.
    pub(super) fn show(&mut self, line: &str) -> io::Result<()> {
        if self.terminal {
            write!(self.out, "{CLEAR}{line}")?;
        } else {
            writeln!(self.out, "{line}")?;
        }
        self.out.flush()
    }

    /// Takes the line away, so that something else can be written.
    pub(super) fn clear(&mut self) {
        if self.terminal {
            // Nobody may read any more: there is nothing to clear then.
            let _ = write!(self.out, "{CLEAR}").and_then(|()| self.out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(terminal: bool) -> String {
        let mut line = StatusLine {
            out: Vec::new(),
            terminal,
        };
        line.show("one").unwrap();
        line.show("two").unwrap();
        line.clear();
        String::from_utf8(line.out).unwrap()
    }

    #[test]
    fn a_terminal_sees_one_line_and_a_file_sees_them_all_without_escapes() {
        assert_eq!(shown(false), "one\ntwo\n");
        assert_eq!(shown(true), "\r\x1b[2Kone\r\x1b[2Ktwo\r\x1b[2K");
    }
}
