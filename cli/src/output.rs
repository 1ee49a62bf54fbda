//! The forms of printing, and the one way to standard output and standard error.
//!
//! What a command has found out goes to stdout in the form that was asked for; everything else (what is going on, what
//! is wrong, that there is nothing) to stderr. Colours and widths are for terminals only. What comes from elsewhere is
//! printed without control characters, so that nobody paints on the user's terminal.

pub(crate) mod age;
pub(crate) mod description;
pub(crate) mod difference;
pub(crate) mod fleet;
pub(crate) mod form;
pub(crate) mod kinds;
pub(crate) mod progress;
pub(crate) mod style;
pub(crate) mod table;

use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use inlet_proto::manifest;
use serde_json::Value;

use crate::error::{self, Error};
use progress::Progress;
use style::Style;
use table::Table;

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For people with wide terminals.
    Wide,
    /// For programs.
    Json,
    /// For people and programs: of resources, what 'apply' accepts.
    Yaml,
    /// KIND/NAME a line.
    Name,
}

/// Where a command prints.
pub(crate) struct Out {
    pub(crate) format: Format,
    pub(crate) style: Style,
    pub(crate) progress: Progress,
    /// Columns of the terminal, if stdout is one.
    width: Option<u16>,
}

impl Out {
    /// Standard output and error of this process.
    pub(crate) fn new(format: Option<Format>, no_color: bool) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_plain = no_color
            || variable("NO_COLOR").is_some()
            || variable("TERM").is_some_and(|term| term == "dumb");
        Self {
            format: format.unwrap_or_default(),
            style: Style::new(is_terminal && !is_plain),
            progress: Progress::new(std::io::stderr().is_terminal()),
            width: is_terminal.then(table::terminal_width).flatten(),
        }
    }

    /// Whether people read stdout.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// Whether the long table was asked for.
    pub(crate) fn is_wide(&self) -> bool {
        self.format == Format::Wide
    }

    /// Text to stdout, as it is. Errors: nobody reads any more, or it cannot be written.
    pub(crate) fn print(&self, text: &str) -> Result<(), Error> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Error::ClosedPipe,
            _ => Error::Failed(format!(
                "cannot write the output: {}",
                error::reason(&error)
            )),
        })
    }

    /// A line to stdout.
    pub(crate) fn line(&self, text: &str) -> Result<(), Error> {
        self.print(&format!("{}\n", clean(text)))
    }

    /// A line to stdout that has colours, what comes from elsewhere being clean already.
    pub(crate) fn line_as_is(&self, text: &str) -> Result<(), Error> {
        self.print(&format!("{text}\n"))
    }

    /// A table, as wide as the terminal; with [`Format::Wide`] as wide as it is.
    pub(crate) fn table(&self, table: &Table) -> Result<(), Error> {
        let width = self.width.filter(|_| !self.is_wide());
        self.print(&table.render(width, self.style))
    }

    /// A value in a form for programs: JSON, or YAML if that was asked for.
    pub(crate) fn value(&self, value: &Value) -> Result<(), Error> {
        let text = match self.format {
            Format::Yaml => manifest::json_to_yaml(value),
            _ => format!("{value:#}\n"),
        };
        self.print(&text)
    }

    /// A remark for people, on stderr.
    pub(crate) fn note(&self, text: &str) {
        self.complain(text);
    }

    /// A line on stderr. That nobody reads it is no reason to fail.
    pub(crate) fn complain(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{}", clean(text));
    }

    /// Refuses `-o` where there is only one form. Errors: it was given.
    pub(crate) fn only_text(&self, command: &str) -> Result<(), Error> {
        if self.is_for_people() {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "'lbctl {command}' has one form only: leave out -o"
        )))
    }
}

/// The text without control characters: line ends and tabs stay, others are escaped.
pub(crate) fn clean(text: &str) -> String {
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_bad) {
        return text.to_owned();
    }
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        if is_bad(c) {
            cleaned.extend(c.escape_default());
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_paints_on_the_users_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\r\n\tc"), "a\\u{1b}[31mb\\r\n\tc");
        assert_eq!(clean("plain äöü"), "plain äöü");
    }
}
