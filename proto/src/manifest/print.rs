//! Message -> the JSON value that a manifest has: `kind` first, then the fields that are set, in field order.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use serde_json::{Map, Value as Json};

use super::document::{POOL, is_kept};
use crate::{duration, v1};

/// Fields that are never printed.
const SECRETS: [&str; 1] = ["inlet.v1.Certificate.private_key"];
/// Fields that the place says already: that of a target inside its group.
const IMPLIED: [&str; 1] = ["inlet.v1.Target.target_group"];

/// The manifest of a resource; null if the envelope is empty.
pub(super) fn resource(resource: &v1::Resource, kept: bool) -> Json {
    let descriptor = POOL
        .get_message_by_name("inlet.v1.Resource")
        .expect("one of our own messages");
    let mut envelope = DynamicMessage::new(descriptor);
    if envelope.transcode_from(resource).is_err() {
        return Json::Null;
    }
    let Some((_, Value::Message(body))) = envelope.fields().next() else {
        return Json::Null;
    };
    let mut manifest = Map::new();
    manifest.insert("kind".to_owned(), Json::from(body.descriptor().name()));
    manifest.extend(fields(body, kept, true));
    Json::Object(manifest)
}

fn fields(message: &DynamicMessage, kept: bool, top: bool) -> Map<String, Json> {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|(field, _)| field.number());
    let printed = |field: &FieldDescriptor| {
        let name = field.full_name();
        !SECRETS.contains(&name) && (kept || !is_kept(field)) && (top || !IMPLIED.contains(&name))
    };
    let printed = fields.into_iter().filter(|(field, _)| printed(field));
    printed
        .map(|(field, value)| {
            (
                field.json_name().to_owned(),
                field_value(&field, value, kept),
            )
        })
        .collect()
}

fn field_value(field: &FieldDescriptor, value: &Value, kept: bool) -> Json {
    match value {
        // A number is what people read, and it stays exact in YAML; the other 64-bit fields keep to proto3 JSON.
        Value::U64(revision) if field.name() == "revision" => Json::from(*revision),
        Value::List(items) => items
            .iter()
            .map(|item| single(&field.kind(), item, kept))
            .collect(),
        Value::Map(entries) => map(field, entries, kept),
        single_value => single(&field.kind(), single_value, kept),
    }
}

/// A map in the order of its keys, so that the same resource always prints the same.
fn map(
    field: &FieldDescriptor,
    entries: &std::collections::HashMap<MapKey, Value>,
    kept: bool,
) -> Json {
    let kind = field
        .kind()
        .as_message()
        .map(|entry| entry.map_entry_value_field().kind());
    let mut entries: Vec<_> = entries
        .iter()
        .map(|(key, value)| (key_text(key), value))
        .collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    let value = |value| {
        kind.as_ref()
            .map_or(Json::Null, |kind| single(kind, value, kept))
    };
    Json::Object(
        entries
            .into_iter()
            .map(|(key, item)| (key, value(item)))
            .collect(),
    )
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

fn single(kind: &Kind, value: &Value, kept: bool) -> Json {
    match value {
        Value::Bool(value) => Json::from(*value),
        Value::I32(value) => Json::from(*value),
        Value::U32(value) => Json::from(*value),
        Value::I64(value) => Json::from(value.to_string()),
        Value::U64(value) => Json::from(value.to_string()),
        Value::F32(value) => Json::from(*value),
        Value::F64(value) => Json::from(*value),
        Value::String(value) => Json::from(value.as_str()),
        Value::Bytes(value) => Json::from(String::from_utf8_lossy(value)),
        Value::EnumNumber(number) => enumeration(kind, *number),
        Value::Message(message) => message_value(message, kept),
        // Neither is a single value: a field that has one never gets here.
        Value::List(_) | Value::Map(_) => Json::Null,
    }
}

/// The bare name, or the number of a value that this version does not know.
fn enumeration(kind: &Kind, number: i32) -> Json {
    let value = kind
        .as_enum()
        .and_then(|descriptor| descriptor.get_value(number));
    value.map_or_else(|| Json::from(number), |value| Json::from(value.name()))
}

fn message_value(message: &DynamicMessage, kept: bool) -> Json {
    match message.descriptor().full_name() {
        "google.protobuf.Duration" => message
            .transcode_to()
            .map_or(Json::Null, |given: prost_types::Duration| {
                Json::from(duration::format(&given))
            }),
        "google.protobuf.Timestamp" => message
            .transcode_to()
            .map_or(Json::Null, |given: prost_types::Timestamp| {
                Json::from(given.to_string())
            }),
        _ => Json::Object(fields(message, kept, false)),
    }
}
