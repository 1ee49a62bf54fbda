//! Single values: texts, numbers, truths, enums and durations, as proto3 JSON has them and as people write them.

use std::str::FromStr;

use prost_reflect::{DynamicMessage, EnumDescriptor, Kind, MessageDescriptor, Value};

use super::document::POOL;
use super::suggest;
use super::tree::{self, Node, shown};
use crate::duration;

const DURATION: &str = "google.protobuf.Duration";
const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// Whether a message is written as one value.
pub(super) fn is_scalar(descriptor: &MessageDescriptor) -> bool {
    matches!(descriptor.full_name(), DURATION | TIMESTAMP)
}

/// Reads a value of a kind. Errors: what was expected and what was found.
pub(super) fn read(kind: &Kind, node: &Node) -> Result<Value, String> {
    match kind {
        Kind::String => text(node).map(|text| Value::String(text.to_owned())),
        Kind::Bytes => text(node).map(|text| Value::Bytes(text.to_owned().into())),
        Kind::Bool => truth(node),
        Kind::Enum(descriptor) => enumeration(descriptor, node),
        Kind::Message(descriptor) if descriptor.full_name() == DURATION => duration(node),
        Kind::Message(_) => timestamp(node),
        Kind::Uint32 | Kind::Fixed32 => number(node).map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => number(node).map(Value::U64),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => number(node).map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => number(node).map(Value::I64),
        Kind::Double => decimal(node).map(Value::F64),
        Kind::Float => decimal(node).map(Value::F32),
    }
}

fn expected(what: &str, node: &Node) -> String {
    format!("expected {what}, found {}", node.describe())
}

fn text(node: &Node) -> Result<&str, String> {
    match &node.value {
        tree::Value::Text(text) => Ok(text),
        tree::Value::Null => Err(expected("a text", node) + ": write \"\" for an empty one"),
        tree::Value::Number(number) => Err(format!(
            "{}: quote it, \"{}\"",
            expected("a text", node),
            shown(number)
        )),
        tree::Value::Bool(value) => Err(format!(
            "{}: quote it, \"{value}\"",
            expected("a text", node)
        )),
        tree::Value::List(_) | tree::Value::Mapping(_) => Err(expected("a text", node)),
    }
}

fn truth(node: &Node) -> Result<Value, String> {
    match node.value {
        tree::Value::Bool(value) => Ok(Value::Bool(value)),
        _ => Err(expected("true or false", node)),
    }
}

/// A whole number; in quotes too, as proto3 JSON has it. What does not fit the type fits no field either; which limits
/// the field has, only its check knows.
fn number<N: FromStr>(node: &Node) -> Result<N, String> {
    let (tree::Value::Number(digits) | tree::Value::Text(digits)) = &node.value else {
        return Err(expected("a whole number", node));
    };
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    let canonical = unsigned == "0" || !unsigned.starts_with('0');
    if unsigned.is_empty() || !canonical || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected("a whole number", node));
    }
    digits.parse().map_err(|_| {
        let why = if digits.starts_with('-') {
            "below"
        } else {
            "above"
        };
        format!("{} is {why} what is allowed here", shown(digits))
    })
}

fn decimal<N: FromStr>(node: &Node) -> Result<N, String> {
    match &node.value {
        tree::Value::Number(digits) => digits.parse().map_err(|_| expected("a number", node)),
        _ => Err(expected("a number", node)),
    }
}

/// A value by its bare name; the zero value that stands for "not given" has none.
fn enumeration(descriptor: &EnumDescriptor, node: &Node) -> Result<Value, String> {
    let values: Vec<_> = descriptor
        .values()
        .filter(|value| value.number() != 0)
        .collect();
    let names: Vec<_> = values
        .iter()
        .map(prost_reflect::EnumValueDescriptor::name)
        .collect();
    let tree::Value::Text(name) = &node.value else {
        return Err(expected(&format!("one of {}", names.join(", ")), node));
    };
    if let Some(value) = values.iter().find(|value| value.name() == name) {
        return Ok(Value::EnumNumber(value.number()));
    }
    let message = suggest::unknown("value", name, &names);
    Err(match suggest::nearest(name, &names) {
        Some(_) => format!("{message} Known are {}", names.join(", ")),
        None => message,
    })
}

fn duration(node: &Node) -> Result<Value, String> {
    let (tree::Value::Number(text) | tree::Value::Text(text)) = &node.value else {
        return Err(expected("a duration such as 60s", node));
    };
    let duration = duration::parse(text).map_err(|error| {
        if shown(text) == *text {
            error.to_string()
        } else {
            expected("a duration such as 60s", node)
        }
    })?;
    let mut message = dynamic(DURATION);
    message.set_field_by_name("seconds", Value::I64(duration.seconds));
    message.set_field_by_name("nanos", Value::I32(duration.nanos));
    Ok(Value::Message(message))
}

fn timestamp(node: &Node) -> Result<Value, String> {
    let what = "a time such as 2026-01-31T12:00:00Z";
    let tree::Value::Text(text) = &node.value else {
        return Err(expected(what, node));
    };
    let time: prost_types::Timestamp = text.parse().map_err(|_| expected(what, node))?;
    let mut message = dynamic(TIMESTAMP);
    message.set_field_by_name("seconds", Value::I64(time.seconds));
    message.set_field_by_name("nanos", Value::I32(time.nanos));
    Ok(Value::Message(message))
}

fn dynamic(name: &str) -> DynamicMessage {
    DynamicMessage::new(
        POOL.get_message_by_name(name)
            .expect("imported by our own files"),
    )
}
