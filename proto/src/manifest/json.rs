//! JSON text (RFC 8259) -> trees. YAML contains JSON on paper; in practice tabs and surrogate pairs need this reader.

use super::tree::{Entry, MAX_DEPTH, Mistake, Node, Value};
use super::yaml::{too_deep, too_large};

/// Reads one or more values, one after the other; `first_line` is the number of the text's first line.
///
/// Errors: the first place where it is not JSON, or too much of it for the `budget` of nodes.
pub(super) fn read(
    text: &str,
    first_line: usize,
    budget: &mut usize,
) -> Result<Vec<Node>, Mistake> {
    let mut reader = Reader {
        text,
        at: 0,
        line: first_line,
        budget,
    };
    let mut values = Vec::new();
    loop {
        reader.skip_blanks();
        if reader.rest().is_empty() {
            return Ok(values);
        }
        let value = reader.value(0);
        values.push(value.map_err(|message| Mistake::new(reader.line, message))?);
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    budget: &'a mut usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_blanks(&mut self) {
        while let Some(c @ (' ' | '\t' | '\r' | '\n')) = self.peek() {
            self.line += usize::from(c == '\n');
            self.at += 1;
        }
    }

    /// Takes a character if it is the next one.
    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expected(&self, what: &str) -> String {
        match self.peek() {
            Some(c) => format!("this is not JSON: expected {what}, found {c:?}"),
            None => format!("this is not JSON: expected {what}, found the end"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, String> {
        self.skip_blanks();
        *self.budget = self.budget.checked_sub(1).ok_or_else(too_large)?;
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        let line = self.line;
        let value = match self.peek() {
            Some('{') => self.mapping(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Value::Text(self.string()?),
            _ => self.word()?,
        };
        Ok(Node { line, value })
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let mut entries = Vec::new();
        self.items('}', |reader| {
            reader.skip_blanks();
            let line = reader.line;
            if reader.peek() != Some('"') {
                return Err(reader.expected("a key in quotes"));
            }
            let key = reader.string()?;
            reader.skip_blanks();
            if !reader.take(':') {
                return Err(reader.expected("':'"));
            }
            let node = reader.value(depth + 1)?;
            entries.push(Entry { key, line, node });
            Ok(())
        })?;
        Ok(Value::Mapping(entries))
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        self.items(']', |reader| {
            items.push(reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::List(items))
    }

    /// Items between commas, from the opening bracket to the closing one.
    fn items(
        &mut self,
        end: char,
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.at += 1;
        self.skip_blanks();
        if self.take(end) {
            return Ok(());
        }
        loop {
            item(self)?;
            self.skip_blanks();
            if self.take(end) {
                return Ok(());
            }
            if !self.take(',') {
                return Err(self.expected(&format!("',' or '{end}'")));
            }
        }
    }

    /// `null`, `true`, `false` or a number.
    fn word(&mut self) -> Result<Value, String> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
            .unwrap_or(rest.len());
        let value = match &rest[..end] {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word if is_number(word) => Value::Number(word.to_owned()),
            _ => return Err(self.expected("a value")),
        };
        self.at += end;
        Ok(value)
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let end = rest
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .unwrap_or(rest.len());
            text.push_str(&rest[..end]);
            self.at += end;
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                _ => return Err(self.expected("the end of a text, '\"'")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let c = match self.peek() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.unicode(),
            _ => return Err(self.expected("an escape such as \\n")),
        };
        self.at += 1;
        Ok(c)
    }

    /// `uXXXX`, or two of them for a character beyond the basic plane.
    fn unicode(&mut self) -> Result<char, String> {
        let mut units = vec![self.code_unit()?];
        if (0xd800..0xdc00).contains(&units[0]) && self.take('\\') {
            units.push(self.code_unit()?);
        }
        let text = String::from_utf16(&units)
            .map_err(|_| "this is not JSON: half of a surrogate pair stands alone".to_owned())?;
        text.chars()
            .next()
            .ok_or_else(|| self.expected("a character"))
    }

    fn code_unit(&mut self) -> Result<u16, String> {
        let digits = self.rest().strip_prefix('u').and_then(|rest| rest.get(..4));
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(unit) = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) else {
            return Err(self.expected("'u' with four hexadecimal digits"));
        };
        self.at += 5;
        Ok(unit)
    }
}

/// The grammar of JSON numbers.
fn is_number(word: &str) -> bool {
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (
            number,
            exponent.strip_prefix(['+', '-']).unwrap_or(exponent),
        ),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && digits(exponent)
        && (whole == "0" || !whole.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Value, String> {
        let nodes = read(text, 1, &mut 1000)
            .map_err(|mistake| format!("{}: {}", mistake.line, mistake.message))?;
        Ok(nodes[0].value.clone())
    }

    #[test]
    fn texts_are_decoded() {
        for (text, decoded) in [
            (r#""""#, ""),
            (r#""a\"\\\/\b\f\n\r\t""#, "a\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00e9\u20ac""#, "Aé€"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\uD83D\uDE00x""#, "😀x"),
            ("\"é😀\u{7f}\"", "é😀\u{7f}"),
        ] {
            assert_eq!(one(text), Ok(Value::Text(decoded.to_owned())), "{text}");
        }
    }

    #[test]
    fn words_and_numbers() {
        for (text, value) in [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ] {
            assert_eq!(one(text), Ok(value));
        }
        for number in ["0", "-0", "12", "1.5", "1e9", "1.5E-3", "-1e+2"] {
            assert_eq!(one(number), Ok(Value::Number(number.to_owned())));
        }
    }

    #[test]
    fn lines_are_counted_through_tabs_and_carriage_returns() {
        let nodes = read(
            "\r\n{\r\n\t\"a\":\t[\r\n\t\t1\r\n\t]\r\n}\n[]",
            10,
            &mut 1000,
        )
        .unwrap();
        assert_eq!((nodes[0].line, nodes[1].line), (11, 16));
        let Value::Mapping(entries) = &nodes[0].value else {
            panic!("a mapping")
        };
        let Value::List(items) = &entries[0].node.value else {
            panic!("a list")
        };
        assert_eq!((entries[0].line, items[0].line), (12, 13));
    }

    #[test]
    fn what_is_not_json_says_where() {
        for (text, message) in [
            (
                "{",
                "1: this is not JSON: expected a key in quotes, found the end",
            ),
            (
                "{a: 1}",
                "1: this is not JSON: expected a key in quotes, found 'a'",
            ),
            ("{\"a\" 1}", "1: this is not JSON: expected ':', found '1'"),
            (
                "[1\n2]",
                "2: this is not JSON: expected ',' or ']', found '2'",
            ),
            ("[1,]", "1: this is not JSON: expected a value, found ']'"),
            ("01", "1: this is not JSON: expected a value, found '0'"),
            ("nul", "1: this is not JSON: expected a value, found 'n'"),
            (
                "\"a",
                "1: this is not JSON: expected the end of a text, '\"', found the end",
            ),
            (
                "\"a\nb\"",
                "1: this is not JSON: expected the end of a text, '\"', found '\\n'",
            ),
            (
                r#""\x""#,
                "1: this is not JSON: expected an escape such as \\n, found 'x'",
            ),
            (
                r#""\u12g4""#,
                "1: this is not JSON: expected 'u' with four hexadecimal digits, found 'u'",
            ),
            (
                r#""\u12é""#,
                "1: this is not JSON: expected 'u' with four hexadecimal digits, found 'u'",
            ),
            (
                r#""\ud83d""#,
                "1: this is not JSON: half of a surrogate pair stands alone",
            ),
            (
                r#""\ud83d\u0041""#,
                "1: this is not JSON: half of a surrogate pair stands alone",
            ),
            (
                r#""\ude00""#,
                "1: this is not JSON: half of a surrogate pair stands alone",
            ),
        ] {
            assert_eq!(one(text).unwrap_err(), message, "{text}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(one(&deep(MAX_DEPTH)).is_ok());
        assert!(
            one(&deep(100_000))
                .unwrap_err()
                .contains("nested more than 64 levels deep")
        );
        assert!(
            read("[1, 2, 3]", 1, &mut 3)
                .unwrap_err()
                .message
                .contains("more than")
        );
    }
}
