//! Tables: columns under headings, aligned, as wide as the terminal and no wider.

use comfy_table::{
    Attribute, Cell as Painted, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row,
    Table as Drawn, TableStyle,
};

use super::clean;
use super::style::{Style, Tone};

/// Spaces between columns.
const GAP: u16 = 3;
/// Characters that a column of prose needs to be readable.
const MIN_PROSE_CHARS: u16 = 12;
/// Characters of a cell at most, so that one long text does not make all others unreadable.
const MAX_CELL_CHARS: usize = 400;

/// A table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A column: its heading, and what it has.
#[derive(Debug, Clone)]
struct Column {
    heading: &'static str,
    content: Content,
}

/// What a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Names and the like, which are not torn apart as long as there is room.
    Words,
    /// Numbers, which stand to the right.
    Numbers,
    /// What may be wrapped where the terminal is narrow.
    Prose,
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
    /// A table with these headings; one that begins with `#` is of a column of numbers, with `~` of one of prose.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let column = |heading: &&'static str| Column {
            heading: heading.trim_start_matches(['#', '~']),
            content: match heading.as_bytes().first() {
                Some(b'#') => Content::Numbers,
                Some(b'~') => Content::Prose,
                _ => Content::Words,
            },
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
                if column.content == Content::Numbers {
                    drawn.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        if width.is_some_and(|width| self.has_room(&drawn, width)) {
            self.keep_words_whole(&mut drawn);
        }
        drawn.trim_fmt() + "\n"
    }

    /// Whether everything but prose fits as it is, and leaves a readable width to each column of prose.
    fn has_room(&self, drawn: &Drawn, width: u16) -> bool {
        let widths = drawn.column_max_content_widths();
        let needed = self.columns.iter().zip(widths).map(|(column, width)| {
            let content = match column.content {
                Content::Prose => width.min(MIN_PROSE_CHARS),
                Content::Words | Content::Numbers => width,
            };
            usize::from(content) + usize::from(GAP)
        });
        needed.sum::<usize>() <= usize::from(width) + usize::from(GAP)
    }

    fn keep_words_whole(&self, drawn: &mut Drawn) {
        for (index, column) in self.columns.iter().enumerate() {
            if let Some(drawn) = drawn
                .column_mut(index)
                .filter(|_| column.content != Content::Prose)
            {
                drawn.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
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

/// Columns of the terminal that stdout is; `None` = it does not say (0: nobody has told it, as in a container).
pub(crate) fn terminal_width() -> Option<u16> {
    Drawn::new().width().filter(|columns| *columns > 0)
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
    fn prose_is_wrapped_before_names_are_torn_apart() {
        let mut table = Table::new(&["TARGET", "~DESCRIPTION", "~AGENTS"]);
        let description = "Health checks failed with these codes: [503]";
        table.row(vec![
            "127.0.0.1:9001".into(),
            description.into(),
            "edge-1".into(),
        ]);
        for width in [50, 60, 200] {
            let text = table.render(Some(width), Style::new(false));
            assert!(text.contains("127.0.0.1:9001 "), "{text}");
            assert!(
                text.lines()
                    .all(|line| line.chars().count() <= usize::from(width)),
                "{text}"
            );
        }
        // No room at all: every column gives way.
        let text = table.render(Some(25), Style::new(false));
        assert!(
            text.lines().all(|line| line.chars().count() <= 25),
            "{text}"
        );
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
