//! Tables: columns under headings, aligned, as wide as the terminal and no wider.

use comfy_table::{
    Attribute, Cell as Painted, CellAlignment, Color, ContentArrangement, Row, Table as Drawn,
    TableStyle,
};

use super::clean;
use super::style::{Style, Tone};

/// Spaces between columns.
const GAP: u16 = 3;
/// Characters of a cell at most, so that one long text does not make all others unreadable.
const MAX_CELL_CHARS: usize = 400;

/// A table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A column: its heading, and whether it has numbers, which stand to the right.
#[derive(Debug, Clone)]
struct Column {
    heading: &'static str,
    is_number: bool,
}

/// What stands in one place; empty is printed as `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text that means something.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }

    /// The text alone.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl Table {
    /// A table with these headings; one that begins with `#` is of a column of numbers.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let column = |heading: &&'static str| Column {
            heading: heading.trim_start_matches('#'),
            is_number: heading.starts_with('#'),
        };
        Self {
            columns: headings.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, as long as there are columns.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, with a line end; cells are wrapped if it would be wider than `width`.
    pub(crate) fn render(&self, width: Option<u16>, style: Style) -> String {
        let mut drawn = Drawn::new();
        drawn.load_style(TableStyle::new());
        match width {
            Some(width) => drawn
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width),
            None => drawn.set_content_arrangement(ContentArrangement::Disabled),
        };
        if style.has_colours() {
            drawn.enforce_styling();
        } else {
            drawn.force_no_tty();
        }
        let headings = self
            .columns
            .iter()
            .map(|column| Painted::new(column.heading).add_attribute(Attribute::Bold));
        drawn.set_header(Row::from(headings.collect::<Vec<_>>()));
        for row in &self.rows {
            drawn.add_row(Row::from(row.iter().map(painted).collect::<Vec<_>>()));
        }
        for (index, column) in self.columns.iter().enumerate() {
            if let Some(drawn) = drawn.column_mut(index) {
                let is_last = index + 1 == self.columns.len();
                drawn.set_padding((0, if is_last { 0 } else { GAP }));
                if column.is_number {
                    drawn.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        drawn.trim_fmt() + "\n"
    }
}

fn painted(cell: &Cell) -> Painted {
    let text = clean(&cell.text).replace(['\n', '\t'], " ");
    let text = match text.char_indices().nth(MAX_CELL_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None if text.is_empty() => "-".to_owned(),
        None => text,
    };
    let painted = Painted::new(text);
    match cell.tone {
        Tone::Plain => painted,
        Tone::Good => painted.fg(Color::DarkGreen),
        Tone::Bad => painted.fg(Color::DarkRed),
        Tone::Moving => painted.fg(Color::DarkYellow),
        Tone::Faint => painted.add_attribute(Attribute::Dim),
        Tone::Heading => painted.add_attribute(Attribute::Bold),
    }
}

/// Columns of the terminal that stdout is.
pub(crate) fn terminal_width() -> Option<u16> {
    Drawn::new().width()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "#PORT", "STATE"]);
        table.row(vec![
            "shop/http".into(),
            "80".into(),
            Cell::toned("healthy", Tone::Good),
        ]);
        table.row(vec!["wire/redis".into(), "16379".into(), "".into()]);
        table
    }

    #[test]
    fn numbers_stand_to_the_right_and_nothing_trails() {
        let expected = "\
NAME          PORT   STATE
shop/http       80   healthy
wire/redis   16379   -
";
        assert_eq!(table().render(None, Style::new(false)), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut table = table();
        table.row(vec![
            "a-very-long-name/of-a-listener".into(),
            "1".into(),
            "unhealthy because of ".repeat(5).into(),
        ]);
        for width in [40, 60, 80] {
            let text = table.render(Some(width), Style::new(false));
            assert!(
                text.lines()
                    .all(|line| line.chars().count() <= usize::from(width)),
                "{width}:\n{text}"
            );
        }
    }

    #[test]
    fn colours_are_there_only_if_asked_for() {
        assert!(table().render(None, Style::new(true)).contains('\u{1b}'));
        assert!(
            !table()
                .render(Some(80), Style::new(false))
                .contains('\u{1b}')
        );
    }

    #[test]
    fn a_cell_is_one_line_without_control_characters() {
        let mut table = Table::new(&["MESSAGE"]);
        table.row(vec!["a\nb\u{1b}[2J".into()]);
        assert_eq!(
            table.render(None, Style::new(false)),
            "MESSAGE\na b\\u{1b}[2J\n"
        );
    }
}
