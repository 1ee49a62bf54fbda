//! `describe`: a resource or an agent with everything around it, as sections of lines.

use super::style::{Style, Tone};
use super::{clean, table::Table};

/// A description under construction.
pub(crate) struct Description {
    text: String,
    style: Style,
}

impl Description {
    /// Begins with what is described.
    pub(crate) fn new(title: &str, style: Style) -> Self {
        let text = format!("{}\n", style.paint(Tone::Heading, &clean(title)));
        Self { text, style }
    }

    /// Facts, their values one below the other; empty ones are left out.
    pub(crate) fn facts(&mut self, facts: &[(&str, String)]) {
        let facts: Vec<_> = facts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let width = facts
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        for (name, value) in facts {
            self.text
                .push_str(&format!("  {name:width$}   {}\n", clean(value)));
        }
    }

    /// A section of lines; one without lines says `none` in place of them.
    pub(crate) fn section(&mut self, title: &str, lines: &[String], none: &str) {
        self.heading(title);
        if lines.is_empty() {
            self.text
                .push_str(&format!("  {}\n", self.style.paint(Tone::Faint, none)));
        }
        for line in lines.iter().flat_map(|line| line.lines()) {
            self.text.push_str(&format!("  {}\n", clean(line)));
        }
    }

    /// A section with a table; `none` if it has no rows.
    pub(crate) fn table(&mut self, title: &str, table: &Table, none: &str) {
        if table.is_empty() {
            return self.section(title, &[], none);
        }
        self.heading(title);
        for line in table.render(None, self.style).lines() {
            self.text.push_str(&format!("  {line}\n"));
        }
    }

    /// The whole text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn heading(&mut self, title: &str) {
        self.text
            .push_str(&format!("\n{}\n", self.style.paint(Tone::Heading, title)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_stand_below_each_other() {
        let mut description = Description::new("Rule shop/http/a", Style::new(false));
        description.facts(&[
            ("uid", "0198".to_owned()),
            ("revision", "7".to_owned()),
            ("tags", String::new()),
        ]);
        description.section("Refers to", &["TargetGroup/a".to_owned()], "nothing");
        description.section("Referred to by", &[], "nothing");
        let mut table = Table::new(&["NAME", "#PORT"]);
        table.row(vec!["a".into(), "1".into()]);
        description.table("Listeners", &table, "none");
        let expected = "\
Rule shop/http/a
  uid        0198
  revision   7

Refers to
  TargetGroup/a

Referred to by
  nothing

Listeners
  NAME   PORT
  a         1
";
        assert_eq!(description.into_text(), expected);
    }
}
