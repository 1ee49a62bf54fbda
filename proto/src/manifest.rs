//! Documents <-> messages, with line numbers and near-miss hints.
//!
//! Reading goes text -> tree with lines (`yaml`, `json`) -> message (`document`, `scalar`) -> [`crate::check`]. It
//! stops at no mistake: what is wrong is left out and noted, so that all mistakes of all documents are told at once.
//! Printing goes message -> JSON value (`print`) -> YAML (`emit`). The descriptors are the only schema: a new kind or
//! field needs nothing here. Invariant: `parse(to_yaml(x)) == x` but for what the server keeps and secrets.

mod document;
mod emit;
mod json;
mod plain;
mod print;
mod scalar;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;
mod yaml;

use std::collections::HashMap;

use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

use crate::kind::Kind;
use crate::v1;
use document::{POOL, ReadFile, Reader};
pub use suggest::nearest;
use tree::{Entry, Mistake, Node};

/// A document that holds other documents, as `get -o json` prints several.
const LIST: &str = "List";
/// Kinds that later versions have.
const LATER_KINDS: [&str; 9] = [
    "Api",
    "Stage",
    "Authorizer",
    "Route",
    "UsagePlan",
    "ApiKey",
    "WebAcl",
    "Service",
    "TrustStore",
];

/// One document of a manifest file, read.
#[derive(Debug, Clone)]
pub struct Document {
    /// The message.
    pub resource: v1::Resource,
    /// The document gives `targets` (see `Upsert.all_targets`).
    pub all_targets: bool,
    /// 1-based line on which the document begins.
    pub line: usize,
}

/// One mistake in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// 1-based line.
    pub line: usize,
    /// `Rule shop/https/catalog`, as far as it is known; empty if not.
    pub resource: String,
    /// Path of the field in JSON names; empty = the whole document.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Whether a path of fields, in JSON names, leads to something in resources of this kind; through lists too.
///
/// Errors: the first step that does not, with what is near or known.
pub fn check_path(kind: Kind, path: &[String]) -> Result<(), String> {
    if path.len() == 1 && path[0] == "kind" {
        return Ok(());
    }
    let mut message = POOL.get_message_by_name(&format!("inlet.v1.{}", kind.name()));
    let mut before = kind.name();
    for step in path {
        let Some(descriptor) = message.filter(|message| !scalar::is_scalar(message)) else {
            return Err(format!("'{before}' has no fields"));
        };
        let Some(field) = descriptor.get_field_by_json_name(step) else {
            let names: Vec<_> = descriptor
                .fields()
                .map(|field| field.json_name().to_owned())
                .collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            return Err(suggest::unknown("field", step, &names));
        };
        if field.is_map() {
            return Ok(());
        }
        message = field.kind().as_message().cloned();
        before = step;
    }
    Ok(())
}

/// Reads all documents of one file (YAML or JSON), and checks each ([`crate::check::check`]).
///
/// `read_file` gives the content of a file named by a `*File` field, relative to the manifest; its error is text.
/// Errors: every mistake of every document, in the order of the lines.
pub fn parse(
    text: &str,
    read_file: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Vec<Document>, Vec<ManifestError>> {
    let (nodes, mistakes) = yaml::read(text);
    let mut manifest = Manifest {
        read_file,
        documents: Vec::new(),
        errors: Vec::new(),
    };
    manifest.note("", mistakes);
    for node in &nodes {
        manifest.document(node);
    }
    if manifest.errors.is_empty() {
        return Ok(manifest.documents);
    }
    manifest.errors.sort_by_key(|error| error.line);
    Err(manifest.errors)
}

/// The manifest form of a resource as YAML: `kind` first, then the fields that are set; what the server keeps
/// (uid, revision, times) only if `kept`.
pub fn to_yaml(resource: &v1::Resource, kept: bool) -> String {
    emit::yaml(&to_json(resource, kept))
}

/// The manifest form of a resource as a JSON value; see [`to_yaml`].
pub fn to_json(resource: &v1::Resource, kept: bool) -> serde_json::Value {
    print::resource(resource, kept)
}

/// Any JSON value as a YAML document, as [`to_yaml`] prints a resource.
pub fn json_to_yaml(value: &serde_json::Value) -> String {
    emit::yaml(value)
}

/// The one document of a YAML or JSON text that is no manifest; null if it has none. Errors: the first mistake.
pub fn read_value(text: &str) -> Result<serde_json::Value, ManifestError> {
    plain::value(text)
}

/// What has been read of one file so far.
struct Manifest<'a> {
    read_file: ReadFile<'a>,
    documents: Vec<Document>,
    errors: Vec<ManifestError>,
}

impl Manifest<'_> {
    fn note(&mut self, resource: &str, mistakes: Vec<Mistake>) {
        self.errors
            .extend(mistakes.into_iter().map(|mistake| ManifestError {
                line: mistake.line,
                resource: resource.to_owned(),
                field: mistake.field,
                message: mistake.message,
            }));
    }

    fn refuse(&mut self, line: usize, field: &str, message: String) {
        let mistake = Mistake {
            line,
            field: field.to_owned(),
            message,
        };
        self.note("", vec![mistake]);
    }

    fn document(&mut self, node: &Node) {
        let entries = match &node.value {
            tree::Value::Null => return,
            tree::Value::Mapping(entries) => entries,
            value => {
                let remedy = if matches!(value, tree::Value::List(_)) {
                    ": separate documents with '---', or write {kind: List, items: [...]}"
                } else {
                    ""
                };
                let found = node.describe();
                self.refuse(
                    node.line,
                    "",
                    format!("expected a mapping with a 'kind', found {found}{remedy}"),
                );
                return;
            }
        };
        let Some(kind) = entries.iter().find(|entry| entry.key == "kind") else {
            self.refuse(node.line, "", missing_kind(entries));
            return;
        };
        match &kind.node.value {
            tree::Value::Text(name) if name == LIST => self.list(node.line, entries),
            tree::Value::Text(name) => match Kind::from_name(name) {
                Some(kind) => self.resource(kind, node.line, entries),
                None => self.refuse(kind.line, "kind", unknown_kind(name)),
            },
            _ => {
                let found = kind.node.describe();
                self.refuse(
                    kind.line,
                    "kind",
                    format!("expected the name of a kind, found {found}"),
                );
            }
        }
    }

    /// The documents of a List.
    fn list(&mut self, line: usize, entries: &[Entry]) {
        let mut reader = Reader::new(self.read_file);
        let entries = reader.unique("", entries);
        let mistakes = reader.mistakes;
        self.note("", mistakes);
        if entries.iter().all(|entry| entry.key == "kind") {
            let message = "the documents are missing: write items: [] for none";
            self.refuse(line, "items", message.to_owned());
        }
        for entry in entries {
            match (entry.key.as_str(), &entry.node.value) {
                ("kind", _) => {}
                ("items", tree::Value::List(items)) => {
                    items.iter().for_each(|item| self.document(item))
                }
                ("items", _) => {
                    let found = entry.node.describe();
                    self.refuse(
                        entry.line,
                        "items",
                        format!("expected a list of documents, found {found}"),
                    );
                }
                (key, _) => self.refuse(
                    entry.line,
                    key,
                    suggest::unknown("field", key, &["kind", "items"]),
                ),
            }
        }
    }

    fn resource(&mut self, kind: Kind, line: usize, entries: &[Entry]) {
        let mut reader = Reader::new(self.read_file);
        let entries = reader.unique("", entries);
        let fields: Vec<_> = entries
            .iter()
            .copied()
            .filter(|entry| entry.key != "kind")
            .collect();
        let resource = envelope(kind, |descriptor| reader.message("", descriptor, &fields));
        for violation in crate::check::check(&resource) {
            if !reader.is_refused(&violation.field) {
                let line = line_of(&reader.lines, &violation.field, line);
                reader.mistakes.push(Mistake {
                    line,
                    field: violation.field,
                    message: violation.message,
                });
            }
        }
        let mistakes = reader.mistakes;
        if mistakes.is_empty() {
            let all_targets =
                kind == Kind::TargetGroup && entries.iter().any(|entry| entry.key == "targets");
            self.documents.push(Document {
                resource,
                all_targets,
                line,
            });
        } else {
            self.note(&label(kind, &resource), mistakes);
        }
    }
}

/// The typed resource of a kind whose message is made along its descriptor.
fn envelope(kind: Kind, body: impl FnOnce(&MessageDescriptor) -> DynamicMessage) -> v1::Resource {
    let descriptor = POOL
        .get_message_by_name("inlet.v1.Resource")
        .expect("one of our own messages");
    let mut envelope = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        if let prost_reflect::Kind::Message(message) = field.kind()
            && message.name() == kind.name()
        {
            envelope.set_field(&field, Value::Message(body(&message)));
            break;
        }
    }
    envelope
        .transcode_to()
        .expect("made along the same descriptors")
}

fn known_kinds() -> Vec<&'static str> {
    Kind::ALL.iter().map(|kind| kind.name()).collect()
}

fn missing_kind(entries: &[Entry]) -> String {
    let mut keys = entries.iter().map(|entry| entry.key.as_str());
    match keys.find(|key| key.eq_ignore_ascii_case("kind")) {
        Some(key) => format!("'kind' is missing: did you mean it by '{key}'?"),
        None => format!("'kind' is missing: one of {}", known_kinds().join(", ")),
    }
}

fn unknown_kind(name: &str) -> String {
    if LATER_KINDS.contains(&name) {
        return format!("kind {name} is not supported yet");
    }
    suggest::unknown("kind", name, &known_kinds())
}

/// The line of a field, or of the nearest part of its path that is written.
fn line_of(lines: &HashMap<String, usize>, field: &str, document: usize) -> usize {
    let mut path = field;
    loop {
        if let Some(line) = lines.get(path) {
            return *line;
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = &path[..end],
            None => return document,
        }
    }
}

/// `Rule shop/https/catalog`, with as much of the name as is known.
fn label(kind: Kind, resource: &v1::Resource) -> String {
    let name = resource.key().map(|key| key.name).unwrap_or_default();
    let name = match &resource.kind {
        Some(v1::resource::Kind::Target(target)) if target.port == 0 => {
            name.strip_suffix(":0").unwrap_or(&name).to_owned()
        }
        _ => name,
    };
    format!("{} {}", kind.name(), name.trim_matches('/'))
        .trim_end()
        .to_owned()
}
