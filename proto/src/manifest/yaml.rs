//! YAML text -> trees. A file is cut at its `---` lines first, so that a document with broken syntax does not hide
//! the mistakes of the others; what looks like JSON is read by `json`.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::json;
use super::tree::{Entry, MAX_DEPTH, MAX_NODES, Mistake, Node, Value, shown};

/// Reads all documents of a file. Documents with broken syntax are left out; their mistakes are given.
pub(super) fn read(text: &str) -> (Vec<Node>, Vec<Mistake>) {
    let (mut documents, mut mistakes) = (Vec::new(), Vec::new());
    let mut budget = MAX_NODES;
    for (first_line, part) in parts(&without_marks(text)) {
        let body = part.strip_prefix("---").unwrap_or(part);
        let begins = body.trim_start();
        let read = if begins.starts_with(['{', '[']) {
            json_or_yaml(body, part, first_line, &mut budget)
        } else {
            yaml(part, first_line, &mut budget)
        };
        match read {
            Ok(nodes) => documents.extend(nodes),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    (documents, mistakes)
}

/// Leaves out byte order marks where a document may begin: editors write them, and files are put together.
fn without_marks(text: &str) -> Cow<'_, str> {
    let text = text.trim_start_matches('\u{feff}');
    if text.contains("\n\u{feff}") {
        return Cow::Owned(text.replace("\n\u{feff}", "\n"));
    }
    Cow::Borrowed(text)
}

/// Cuts a file before each line that begins a document, and numbers the parts by their first lines.
///
/// `---` at the start of a line is a marker wherever it stands, in block scalars and quotes too (YAML 1.2, 9.1.2).
fn parts(text: &str) -> Vec<(usize, &str)> {
    let (mut parts, mut start, mut first_line) = (Vec::new(), 0, 1);
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let marks = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marks && at > 0 {
            parts.push((first_line, &text[start..at]));
            (start, first_line) = (at, index + 1);
        }
        at += line.len();
    }
    parts.push((first_line, &text[start..]));
    parts.retain(|(_, part)| !is_blank(part));
    parts
}

/// Only comments, and directives of which none is of use here.
fn is_blank(part: &str) -> bool {
    part.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with(['#', '%'])
    })
}

/// JSON where it is JSON, else YAML, whose flow style looks alike.
fn json_or_yaml(
    body: &str,
    part: &str,
    first_line: usize,
    budget: &mut usize,
) -> Result<Vec<Node>, Mistake> {
    let mut json_budget = *budget;
    match json::read(body, first_line, &mut json_budget) {
        Ok(nodes) => {
            *budget = json_budget;
            Ok(nodes)
        }
        Err(mistake) => {
            let mut inner = body
                .trim_start()
                .chars()
                .skip(1)
                .skip_while(|c| c.is_whitespace());
            let meant_json = matches!(inner.next(), Some('"' | '{'));
            yaml(part, first_line, budget).map_err(|other| if meant_json { mistake } else { other })
        }
    }
}

/// The documents of one part (several if they end with `...`).
fn yaml(part: &str, first_line: usize, budget: &mut usize) -> Result<Vec<Node>, Mistake> {
    printable(part, first_line)?;
    let mut builder = Builder {
        stack: Vec::new(),
        anchors: HashMap::new(),
        documents: Vec::new(),
        budget,
    };
    // What is missing at the end is missed after the last line.
    let last = lines(part);
    let place = |line: usize| first_line + line.min(last).saturating_sub(1);
    for event in Parser::new_from_str(part) {
        let (event, span) = event.map_err(|error| {
            let line = place(error.marker().line());
            Mistake::new(line, format!("this is not YAML: {}", error.info()))
        })?;
        let line = place(span.start.line());
        builder
            .observe(event, line)
            .map_err(|message| Mistake::new(line, message))?;
    }
    Ok(builder.documents)
}

/// Refuses the characters that YAML has only as escapes: the parser takes a NUL for the end and says nothing.
fn printable(part: &str, first_line: usize) -> Result<(), Mistake> {
    let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let Some((at, c)) = part.char_indices().find(|(_, c)| odd(*c)) else {
        return Ok(());
    };
    let line = first_line + part[..at].matches('\n').count();
    let message = format!(
        "this is not YAML: the character {c:?} cannot stand in it; in double quotes it is written as an escape"
    );
    Err(Mistake::new(line, message))
}

/// How many lines a text has; CR alone ends one, too (YAML 1.2, 5.4).
fn lines(text: &str) -> usize {
    let text = text.replace("\r\n", "\n");
    let text = text.strip_suffix(['\r', '\n']).unwrap_or(&text);
    1 + text.matches(['\r', '\n']).count()
}

/// Makes trees of events.
struct Builder<'a> {
    stack: Vec<Open>,
    anchors: HashMap<usize, Node>,
    documents: Vec<Node>,
    budget: &'a mut usize,
}

/// A list or mapping of which the end has not been seen.
struct Open {
    line: usize,
    anchor: usize,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        key: Option<(String, usize)>,
    },
}

impl Builder<'_> {
    fn observe(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if self.expects_key() {
                    if text == "<<" && style == ScalarStyle::Plain {
                        return Err(merge_key());
                    }
                    return self.key(text.into_owned(), line);
                }
                let value = scalar(text.into_owned(), style, tag.as_deref())?;
                self.add(Node { line, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(line, anchor, tag.as_deref(), Body::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let body = Body::Mapping {
                    entries: Vec::new(),
                    key: None,
                };
                self.open(line, anchor, tag.as_deref(), body)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let node = self
                    .anchors
                    .get(&anchor)
                    .ok_or("an alias stands for something that is not complete")?;
                let (size, depth) = node.size_and_depth();
                if size > *self.budget {
                    return Err(too_large());
                }
                self.deep(depth)?;
                let node = node.clone();
                *self.budget -= size - 1;
                self.add(node, 0)
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {
                Ok(())
            }
        }
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Open {
                body: Body::Mapping { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: String, line: usize) -> Result<(), String> {
        self.spend()?;
        if let Some(Open {
            body: Body::Mapping { key, .. },
            ..
        }) = self.stack.last_mut()
        {
            *key = Some((text, line));
        }
        Ok(())
    }

    fn open(
        &mut self,
        line: usize,
        anchor: usize,
        tag: Option<&Tag>,
        body: Body,
    ) -> Result<(), String> {
        if let Some(tag) = tag {
            return Err(unknown_tag(tag));
        }
        if self.expects_key() {
            return Err("a key must be a text".to_owned());
        }
        self.deep(1)?;
        self.stack.push(Open { line, anchor, body });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        let value = match open.body {
            Body::List(items) => Value::List(items),
            Body::Mapping { entries, .. } => Value::Mapping(entries),
        };
        self.add(
            Node {
                line: open.line,
                value,
            },
            open.anchor,
        )
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.spend()?;
        if anchor != 0 {
            let (size, _) = node.size_and_depth();
            *self.budget = self.budget.checked_sub(size).ok_or_else(too_large)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|open| &mut open.body) {
            None => self.documents.push(node),
            Some(Body::List(items)) => items.push(node),
            Some(Body::Mapping { entries, key }) => match key.take() {
                Some((key, line)) => entries.push(Entry { key, line, node }),
                None => return Err("a key must be a text".to_owned()),
            },
        }
        Ok(())
    }

    fn deep(&self, levels: usize) -> Result<(), String> {
        if self.stack.len() + levels > MAX_DEPTH {
            return Err(too_deep());
        }
        Ok(())
    }

    fn spend(&mut self) -> Result<(), String> {
        *self.budget = self.budget.checked_sub(1).ok_or_else(too_large)?;
        Ok(())
    }
}

pub(super) fn too_deep() -> String {
    format!("lists and mappings are nested more than {MAX_DEPTH} levels deep")
}

pub(super) fn too_large() -> String {
    format!("the file has more than {MAX_NODES} values, those that aliases repeat included")
}

/// YAML 1.1 only: most readers of 1.2 do not merge, so one that did would read a file as nobody else does.
fn merge_key() -> String {
    "merge keys ('<<') are not understood: write the fields out, or an alias for the whole value"
        .to_owned()
}

fn unknown_tag(tag: &Tag) -> String {
    let tag = format!("{}{}", tag.handle, tag.suffix);
    format!("tags such as {} are not understood", shown(&tag))
}

/// A scalar by the core schema of YAML 1.2: only plain ones can be anything but text.
fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
            return Ok(Value::Text(text));
        }
        Some(tag) => return Err(unknown_tag(tag)),
        None => {}
    }
    Ok(match text.as_str() {
        _ if style != ScalarStyle::Plain => Value::Text(text),
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        plain if is_number(plain) => Value::Number(text),
        _ => Value::Text(text),
    })
}

/// Whether a plain scalar is a number in the core schema.
pub(super) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits =
        |text: &str, radix| !text.is_empty() && text.chars().all(|c: char| c.is_digit(radix));
    let mut first = unsigned.chars();
    match (first.next(), first.next()) {
        (Some('0'), Some('x')) => digits(&unsigned[2..], 16),
        (Some('0'), Some('o')) => digits(&unsigned[2..], 8),
        (Some('0'..='9'), _) | (Some('.'), Some('0'..='9')) => unsigned.parse::<f64>().is_ok(),
        (Some('.'), _) => matches!(
            unsigned,
            ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
        ),
        _ => false,
    }
}
