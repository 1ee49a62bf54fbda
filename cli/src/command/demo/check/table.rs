//! What was checked, as a table to print, and the verdict on it all (pure).

/// Longest text in a cell, in characters.
const MAX_CELL_CHARS: usize = 72;
/// The columns.
const HEADINGS: [&str; 4] = ["what", "expected", "got", "ok"];
/// Between two columns.
const GAP: &str = " | ";

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

    /// The table, a line for each row, the columns aligned.
    pub(super) fn text(&self) -> String {
        let headings = HEADINGS.map(str::to_owned);
        let lines: Vec<_> = std::iter::once(headings)
            .chain(self.rows.iter().map(cells))
            .collect();
        let widths: [usize; 4] = std::array::from_fn(|column| {
            let cells = lines.iter().map(|line| line[column].chars().count());
            cells.max().unwrap_or_default()
        });
        let mut text = String::new();
        for line in &lines {
            let cells: [String; 4] =
                std::array::from_fn(|column| format!("{:1$}", line[column], widths[column]));
            text.push_str(cells.join(GAP).trim_end());
            text.push('\n');
        }
        text
    }

    fn failures(&self) -> usize {
        self.rows.iter().filter(|row| !row.ok).count()
    }
}

fn cells(row: &Row) -> [String; 4] {
    let ok = if row.ok { "yes" } else { "NO" };
    [
        clip(&row.what),
        clip(&row.expected),
        clip(&row.got),
        ok.to_owned(),
    ]
}

/// One line, not too long, nothing that a terminal would obey.
fn clip(text: &str) -> String {
    let plain = text
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    let mut clipped: String = plain.clone().take(MAX_CELL_CHARS).collect();
    if plain.count() > MAX_CELL_CHARS {
        clipped.pop();
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(what: &str, got: &str, ok: bool) -> Row {
        Row {
            what: what.to_owned(),
            expected: "200".to_owned(),
            got: got.to_owned(),
            ok,
        }
    }

    #[test]
    fn the_table_is_aligned_and_each_row_is_one_line() {
        let mut table = Table::default();
        table.add(row("a: GET /shop/1", "200", true));
        table.add(row("b", "503\nno\x1b[2J targets\n", false));
        assert_eq!(
            table.text(),
            "what           | expected | got                | ok\n\
             a: GET /shop/1 | 200      | 200                | yes\n\
             b              | 200      | 503 no [2J targets | NO\n"
        );
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark() {
        assert_eq!(clip(&"x".repeat(72)), "x".repeat(72));
        assert_eq!(clip(&"é".repeat(73)), format!("{}…", "é".repeat(71)));
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
