//! A document as it was written: scalars, lists and mappings with their lines, before anything is known of fields.

/// Nodes of one file, those that aliases repeat included: what stops an alias bomb.
pub(super) const MAX_NODES: usize = 2_000_000;
/// Nesting of lists and mappings; the language itself needs less than ten.
pub(super) const MAX_DEPTH: usize = 64;
/// Characters of a text that a message repeats.
const SHOWN_CHARS: usize = 60;

/// A mistake, on a 1-based line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) line: usize,
    /// Path in JSON names, as far as it is known.
    pub(super) field: String,
    pub(super) message: String,
}

/// A value and the line where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`, not quoted.
    Bool(bool),
    /// A number as written, not quoted.
    Number(String),
    /// Any other scalar, or a quoted one.
    Text(String),
    List(Vec<Node>),
    /// In the order written; keys may repeat.
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

impl Mistake {
    /// A mistake of a document as a whole.
    pub(super) fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            field: String::new(),
            message: message.into(),
        }
    }
}

impl Node {
    /// What it is, for messages: `the text 'x'`, `a list`.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => format!("the number {}", shown(number)),
            Value::Text(text) => format!("the text '{}'", shown(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// The number of nodes, itself included, and of levels below it.
    pub(super) fn size_and_depth(&self) -> (usize, usize) {
        let below = |(size, depth): (usize, usize), node: &Self| {
            let (nodes, levels) = node.size_and_depth();
            (size + nodes, depth.max(levels + 1))
        };
        match &self.value {
            Value::List(items) => items.iter().fold((1, 0), below),
            Value::Mapping(entries) => entries.iter().map(|entry| &entry.node).fold((1, 0), below),
            _ => (1, 0),
        }
    }
}

/// A text for a message: cut short, control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown = String::new();
    for c in chars.by_ref().take(SHOWN_CHARS) {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if chars.next().is_some() {
        shown.push_str("...");
    }
    shown
}
