//! YAML or JSON text -> one JSON value, for files that are no manifests (the settings of `lbctl`).

use serde_json::{Map, Number, Value};

use super::tree::{self, Mistake, Node};
use super::{ManifestError, yaml};

/// The one document of a text; null if it has none. Errors: the first mistake.
pub(super) fn value(text: &str) -> Result<Value, ManifestError> {
    let (nodes, mistakes) = yaml::read(text);
    if let Some(mistake) = mistakes.into_iter().next() {
        return Err(error(mistake));
    }
    match nodes.as_slice() {
        [] => Ok(Value::Null),
        [node] => json(node).map_err(error),
        [_, second, ..] => Err(error(Mistake::new(
            second.line,
            "expected one document, found a second",
        ))),
    }
}

fn json(node: &Node) -> Result<Value, Mistake> {
    Ok(match &node.value {
        tree::Value::Null => Value::Null,
        tree::Value::Bool(value) => Value::from(*value),
        // Whatever is no JSON number stays the text that it is.
        tree::Value::Number(text) => text
            .parse::<Number>()
            .map_or_else(|_| Value::from(text.as_str()), Value::Number),
        tree::Value::Text(text) => Value::from(text.as_str()),
        tree::Value::List(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        tree::Value::Mapping(entries) => {
            let mut fields = Map::new();
            for entry in entries {
                if fields
                    .insert(entry.key.clone(), json(&entry.node)?)
                    .is_some()
                {
                    let message = format!("'{}' is given twice", tree::shown(&entry.key));
                    return Err(Mistake::new(entry.line, message));
                }
            }
            Value::Object(fields)
        }
    })
}

fn error(mistake: Mistake) -> ManifestError {
    ManifestError {
        line: mistake.line,
        resource: String::new(),
        field: mistake.field,
        message: mistake.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_becomes_one_value() {
        let text = "a: 1\nb: [x, true, null, '2']\nc: {d: 1.5}\n";
        let expected = serde_json::json!({"a": 1, "b": ["x", true, null, "2"], "c": {"d": 1.5}});
        assert_eq!(value(text).unwrap(), expected);
        assert_eq!(value("# nothing\n").unwrap(), Value::Null);
    }

    #[test]
    fn mistakes_have_their_line() {
        for (text, line) in [("a: 1\na: 2\n", 2), ("a: 1\n---\nb: 2\n", 3), ("a: [\n", 1)] {
            assert!(value(text).unwrap_err().line >= line, "{text}");
        }
    }
}
