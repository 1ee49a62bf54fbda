//! What was checked, as a table to print, and the verdict on it all (pure).

use crate::output::style::Tone;
use crate::output::table::{self, Cell};

/// The columns.
const HEADINGS: [&str; 4] = ["OK", "WHAT", "~EXPECTED", "~CAME BACK"];

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// What was asked for.
    pub(super) what: String,
    /// What should come.
    pub(super) expected: String,
    /// What came.
    pub(super) got: String,
    /// Whether that is as it should be.
    pub(super) ok: bool,
}

/// Everything that was checked, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds what was found.
    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a step that either goes well, as `expected`, or says why not.
    pub(super) fn step<T, E: std::fmt::Display>(
        &mut self,
        what: impl Into<String>,
        expected: impl Into<String>,
        result: &Result<T, E>,
    ) {
        let expected = expected.into();
        let (got, ok) = match result {
            Ok(_) => (expected.clone(), true),
            Err(error) => (error.to_string(), false),
        };
        self.add(Row {
            what: what.into(),
            expected,
            got,
            ok,
        });
    }

    /// Whether something was checked, and all of it is as it should be.
    pub(super) fn is_ok(&self) -> bool {
        !self.rows.is_empty() && self.failures() == 0
    }

    /// The last line: how it went.
    pub(super) fn verdict(&self, seconds: f64) -> String {
        let all = self.rows.len();
        match self.failures() {
            0 if all > 0 => format!("ok: all {all} as expected, in {seconds:.1} s"),
            0 => "failed: nothing was checked".to_owned(),
            failures => format!("failed: {failures} of {all} not as expected, in {seconds:.1} s"),
        }
    }

    /// As it is printed: a row for each thing.
    pub(super) fn printed(&self) -> table::Table {
        let mut printed = table::Table::new(&HEADINGS);
        for row in &self.rows {
            let (word, tone) = if row.ok {
                ("yes", Tone::Good)
            } else {
                ("NO", Tone::Bad)
            };
            printed.row(vec![
                Cell::toned(word, tone),
                row.what.as_str().into(),
                row.expected.as_str().into(),
                row.got.trim_end().into(),
            ]);
        }
        printed
    }

    fn failures(&self) -> usize {
        self.rows.iter().filter(|row| !row.ok).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Style;

    fn row(what: &str, got: &str, ok: bool) -> Row {
        Row {
            what: what.to_owned(),
            expected: "200".to_owned(),
            got: got.to_owned(),
            ok,
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_thing() {
        let mut table = Table::default();
        table.add(row("a: GET /shop/1", "200", true));
        table.add(row("b", "503\nno targets\n", false));
        assert_eq!(
            table.printed().render(None, Style::new(false)),
            "OK    WHAT             EXPECTED   CAME BACK\n\
             yes   a: GET /shop/1   200        200\n\
             NO    b                200        503 no targets\n"
        );
    }

    #[test]
    fn the_verdict_is_good_only_if_everything_is() {
        let mut table = Table::default();
        assert!(!table.is_ok(), "an empty check proves nothing");
        assert_eq!(table.verdict(0.0), "failed: nothing was checked");
        table.add(row("a", "200", true));
        assert!(table.is_ok());
        assert_eq!(table.verdict(1.25), "ok: all 1 as expected, in 1.2 s");
        table.add(row("b", "404", false));
        assert!(!table.is_ok());
        assert_eq!(
            table.verdict(2.0),
            "failed: 1 of 2 not as expected, in 2.0 s"
        );
    }

    #[test]
    fn a_step_that_fails_says_why() {
        let mut table = Table::default();
        table.step("one", "done", &Ok::<_, String>(()));
        table.step("two", "done", &Err::<(), _>("refused"));
        assert_eq!(table.rows[0].got, "done");
        assert_eq!(
            (table.rows[1].got.as_str(), table.rows[1].ok),
            ("refused", false)
        );
    }
}
