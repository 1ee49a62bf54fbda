//! Colours: what a text means, and how that looks on a terminal.

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be; added.
    Good,
    /// Not as it should be; removed.
    Bad,
    /// On its way; changed.
    Moving,
    /// Of less interest.
    Faint,
    /// A heading.
    Heading,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    colours: bool,
}

impl Style {
    /// With colours or without.
    pub(crate) fn new(colours: bool) -> Self {
        Self { colours }
    }

    /// Whether there are any.
    pub(crate) fn has_colours(self) -> bool {
        self.colours
    }

    /// The text in this tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colours => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Moving => "33",
            Tone::Faint => "2",
            Tone::Heading => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
