//! JSON value -> YAML text that every reader takes for the same value, those of YAML 1.1 too.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::{Map, Value};

/// Words that some reader takes for something else than text, in lower case.
const WORDS: [&str; 12] = [
    "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "none",
];

/// The value as a document in block style, with a line end.
pub(super) fn yaml(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => mapping(&mut text, fields, 0, false),
        Value::Array(items) if !items.is_empty() => list(&mut text, items, 0),
        other => {
            inline(&mut text, other, 0);
            text.push('\n');
        }
    }
    text
}

/// The entries of a mapping; the first continues the line if `continues`, as after `- `.
fn mapping(text: &mut String, fields: &Map<String, Value>, indent: usize, continues: bool) {
    let mut continues = continues;
    for (key, value) in fields {
        if !std::mem::take(&mut continues) {
            spaces(text, indent);
        }
        text.push_str(&scalar(key));
        text.push(':');
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                text.push('\n');
                mapping(text, fields, indent + 2, false);
            }
            Value::Array(items) if !items.is_empty() => {
                text.push('\n');
                list(text, items, indent + 2);
            }
            single => {
                text.push(' ');
                inline(text, single, indent + 2);
                text.push('\n');
            }
        }
    }
}

fn list(text: &mut String, items: &[Value], indent: usize) {
    for item in items {
        spaces(text, indent);
        text.push_str("- ");
        match item {
            Value::Object(fields) if !fields.is_empty() => mapping(text, fields, indent + 2, true),
            single => {
                inline(text, single, indent + 2);
                text.push('\n');
            }
        }
    }
}

/// A value that fits on the line, or a block of lines indented by `indent`, without the last line end.
fn inline(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(lines) if is_block(lines) => block(text, lines, indent),
        Value::String(single) => text.push_str(&scalar(single)),
        // Empty lists and mappings, truths and numbers are the same in JSON; so is a list in a list, which no kind has.
        other => text.push_str(&other.to_string()),
    }
}

/// Whether a text of several lines can stand as a literal block.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let line = |line: &str| line.is_empty() || !line.trim().is_empty();
    text.contains('\n')
        && !body.is_empty()
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n'])
        && body.split('\n').all(line)
        && body.chars().all(|c| c == '\n' || is_printable(c))
}

fn block(text: &mut String, lines: &str, indent: usize) {
    text.push_str(if lines.ends_with('\n') { "|" } else { "|-" });
    for line in lines.trim_end_matches('\n').split('\n') {
        text.push('\n');
        if !line.is_empty() {
            spaces(text, indent);
            text.push_str(line);
        }
    }
}

/// A text on one line, quoted unless it is plainly a text.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn is_plain(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts = match bytes.next() {
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'/') => true,
        Some(b'0'..=b'9') => is_duration(text) || is_address(text),
        _ => false,
    };
    starts
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_./*+=$~@ ".contains(&byte))
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// `60s`, `1.5s`: no reader takes that for a number.
fn is_duration(text: &str) -> bool {
    let number = text.strip_suffix('s').unwrap_or_default();
    !number.is_empty()
        && number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// `127.0.0.1`, `127.0.0.0/8`: nor is this.
fn is_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv4Net>().is_ok()
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if is_printable(c) => quoted.push(c),
            c => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Printable in YAML and no line end for any reader.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn spaces(text: &mut String, count: usize) {
    text.extend(std::iter::repeat_n(' ', count));
}
