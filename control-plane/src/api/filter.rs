//! The filter of `List`: terms joined with AND, each `path = value`, `path != value` or `path : value` (contains).
//!
//! A path names a field in JSON form, its steps joined with dots; a step with a dot in it is quoted
//! (`tags."a.b"`). Where it leads through a list it means any element, so `=` and `:` hold if they hold for one of
//! the values found, and `!=` if `=` does not. Values stand as they are or in double quotes.

use inlet_proto::kind::Kind;
use inlet_proto::manifest;
use serde_json::Value;

/// Longest filter, in bytes.
const MAX_FILTER_BYTES: usize = 2048;
/// Terms of a filter at most.
const MAX_TERMS: usize = 16;
const FORM: &str = "'path = value', 'path != value' or 'path : value', joined with AND";

/// A parsed filter; the empty one lets everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Filter {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    path: Vec<String>,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Contains,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A path, a value, or the word AND: its dot-separated steps, and whether the first was quoted.
    Word {
        text: String,
        quoted: bool,
    },
    Dot,
    Operator(Operator),
}

impl Filter {
    /// Parses a filter. Errors: what is wrong with it, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_FILTER_BYTES {
            return Err(format!("must be at most {MAX_FILTER_BYTES} bytes"));
        }
        let mut tokens = tokens(text)?.into_iter().peekable();
        let mut terms = Vec::new();
        while tokens.peek().is_some() {
            if !terms.is_empty() && !is_and(tokens.next()) {
                return Err(format!("terms must be joined with AND: expected {FORM}"));
            }
            terms.push(term(&mut tokens)?);
        }
        if terms.len() > MAX_TERMS {
            return Err(format!("must have at most {MAX_TERMS} terms"));
        }
        Ok(Self { terms })
    }

    /// Whether resources of a kind (`None` = any) have the fields that are asked for. Errors: the first that they do
    /// not have, with what is near.
    pub(crate) fn check(&self, kind: Option<Kind>) -> Result<(), String> {
        let Some(kind) = kind else {
            return Ok(());
        };
        self.terms
            .iter()
            .try_for_each(|term| manifest::check_path(kind, &term.path))
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a resource, in the JSON form of manifests, fulfils every term.
    pub(crate) fn matches(&self, resource: &Value) -> bool {
        self.terms.iter().all(|term| term.matches(resource))
    }
}

impl Term {
    fn matches(&self, resource: &Value) -> bool {
        let mut found = Vec::new();
        collect(resource, &self.path, &mut found);
        match self.operator {
            Operator::Is => found.contains(&self.value),
            Operator::IsNot => !found.contains(&self.value),
            Operator::Contains => found.iter().any(|text| text.contains(&self.value)),
        }
    }
}

/// The texts of all values that a path leads to.
fn collect(value: &Value, path: &[String], found: &mut Vec<String>) {
    match (value, path) {
        (Value::Array(elements), _) => {
            for element in elements {
                collect(element, path, found);
            }
        }
        (Value::Object(fields), [step, rest @ ..]) => {
            if let Some(field) = fields.get(step) {
                collect(field, rest, found);
            }
        }
        (Value::String(text), []) => found.push(text.clone()),
        (Value::Number(number), []) => found.push(number.to_string()),
        (Value::Bool(truth), []) => found.push(truth.to_string()),
        _ => {}
    }
}

fn is_and(token: Option<Token>) -> bool {
    matches!(token, Some(Token::Word { text, quoted: false }) if text == "AND")
}

fn term(tokens: &mut impl Iterator<Item = Token>) -> Result<Term, String> {
    let malformed = || format!("expected {FORM}");
    let mut path = Vec::new();
    let operator = loop {
        match (tokens.next(), path.len()) {
            (Some(Token::Word { text, .. }), _) => path.push(text),
            _ => return Err(malformed()),
        }
        match tokens.next() {
            Some(Token::Dot) => {}
            Some(Token::Operator(operator)) => break operator,
            _ => return Err(malformed()),
        }
    };
    let Some(Token::Word { text: value, .. }) = tokens.next() else {
        return Err(malformed());
    };
    Ok(Term {
        path,
        operator,
        value,
    })
}

/// Values are read up to the next blank, so that they may hold dots and colons; paths end at these.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    let mut is_value = false;
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '"' => quoted(rest)?,
            '.' if !is_value => (Token::Dot, &rest[1..]),
            '=' if !is_value => (Token::Operator(Operator::Is), &rest[1..]),
            ':' if !is_value => (Token::Operator(Operator::Contains), &rest[1..]),
            '!' if !is_value && rest.starts_with("!=") => {
                (Token::Operator(Operator::IsNot), &rest[2..])
            }
            _ => {
                let ends = |character: char| {
                    character.is_whitespace()
                        || (!is_value && matches!(character, '.' | '=' | ':' | '!' | '"'))
                };
                let end = rest.find(ends).unwrap_or(rest.len());
                if end == 0 {
                    return Err(format!("unexpected '{first}': expected {FORM}"));
                }
                let word = Token::Word {
                    text: rest[..end].to_owned(),
                    quoted: false,
                };
                (word, &rest[end..])
            }
        };
        is_value = matches!(token, Token::Operator(_));
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn quoted(text: &str) -> Result<(Token, &str), String> {
    let inner = &text[1..];
    let end = inner
        .find('"')
        .ok_or_else(|| "a quoted text does not end".to_owned())?;
    let word = Token::Word {
        text: inner[..end].to_owned(),
        quoted: true,
    };
    Ok((word, &inner[end + 1..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_follow_fields_lists_and_quotes() {
        let resource = json!({
            "kind": "TargetGroup",
            "name": "catalog",
            "port": 9001,
            "tags": {"team": "storefront", "a.b": "x y"},
            "connectionTermination": true,
            "targets": [{"address": "127.0.0.1"}, {"address": "127.0.0.2"}],
            "healthCheck": {"path": "/healthz"},
        });
        for (filter, expected) in [
            ("", true),
            ("name = catalog", true),
            ("name=catalog", true),
            ("name = other", false),
            ("name != other", true),
            ("name : cat", true),
            ("port = 9001 AND tags.team = storefront", true),
            ("port = 9001 AND tags.team = backoffice", false),
            ("tags.\"a.b\" = \"x y\"", true),
            ("connectionTermination = true", true),
            ("targets.address = 127.0.0.2", true),
            ("targets.address : 0.0.3", false),
            ("targets.address != 127.0.0.1", false),
            ("healthCheck.path = /healthz", true),
            ("nothing = x", false),
            ("nothing != x", true),
            ("tags = storefront", false),
        ] {
            let parsed = Filter::parse(filter).unwrap();
            assert_eq!(parsed.matches(&resource), expected, "{filter}");
        }
    }

    #[test]
    fn a_field_that_a_kind_does_not_have_is_no_empty_answer() {
        let check = |kind, filter| Filter::parse(filter).unwrap().check(kind);
        let group = Some(Kind::TargetGroup);
        for good in [
            "kind = TargetGroup AND name = a AND uid = b AND revision = 3",
            "tags.team = storefront AND tags.\"a.b\" = x",
            "targets.address : 127 AND healthCheck.path = /",
        ] {
            assert_eq!(check(group, good), Ok(()), "{good}");
        }
        assert_eq!(check(None, "porto = 1"), Ok(()));
        for (filter, said) in [
            ("prot = 1", "unknown field 'prot': did you mean 'port'?"),
            (
                "name = a AND healthCheck.pth = /",
                "unknown field 'pth': did you mean 'path'?",
            ),
            ("port.number = 1", "'port' has no fields"),
        ] {
            assert_eq!(check(group, filter), Err(said.to_owned()), "{filter}");
        }
    }

    #[test]
    fn malformed_filters_are_refused() {
        for filter in [
            "name",
            "name =",
            "= x",
            "name = a name = b",
            "name = a OR name = b",
            "name = a AND",
            "tags..a = b",
            "name = \"a",
            "name ! a",
            &format!("name = {}", "x".repeat(MAX_FILTER_BYTES)),
            &vec!["a = b"; MAX_TERMS + 1].join(" AND "),
        ] {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
    }
}
