//! Tree -> message: walks a document along the descriptors and collects every mistake in it.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};

use super::scalar;
use super::suggest;
use super::tree::{self, Entry, Mistake, Node};

/// The descriptors of the language.
pub(super) static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(crate::DESCRIPTORS).expect("made by our own build"));

/// Fields that later versions have, by message.
const LATER_FIELDS: [(&str, &str); 1] = [("inlet.v1.Action", "api")];
/// Ends the name of a field whose content stands in a file.
const FILE_SUFFIX: &str = "File";

/// Gives the content of a file that a manifest names.
pub(super) type ReadFile<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

/// Reads one document; `lines` and `mistakes` are what is left of it besides the message.
pub(super) struct Reader<'a> {
    read_file: ReadFile<'a>,
    /// Path of every field that is given -> its line.
    pub(super) lines: HashMap<String, usize>,
    pub(super) mistakes: Vec<Mistake>,
    /// Paths about which nothing more should be said: they have a mistake.
    refused: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(read_file: ReadFile<'a>) -> Self {
        Self {
            read_file,
            lines: HashMap::new(),
            mistakes: Vec::new(),
            refused: BTreeSet::new(),
        }
    }

    /// The message of these fields. What is wrong is left out of it and noted.
    pub(super) fn message(
        &mut self,
        path: &str,
        descriptor: &MessageDescriptor,
        entries: &[&Entry],
    ) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        let mut given = HashMap::new();
        for entry in entries {
            let path = join(path, &entry.key);
            self.lines.insert(path.clone(), entry.line);
            match field_of(descriptor, &entry.key) {
                Given::Kept => {}
                Given::Unknown => self.unknown(&path, descriptor, entry),
                Given::Field(field) => {
                    if self.first(&path, &field, entry, &mut given)
                        && let Some(value) = self.field(&path, &field, &entry.node)
                    {
                        message.set_field(&field, value);
                    }
                }
                Given::File(field) => {
                    let own = path.strip_suffix(FILE_SUFFIX).unwrap_or(&path).to_owned();
                    self.lines.insert(own.clone(), entry.line);
                    if self.first(&path, &field, entry, &mut given)
                        && let Some(value) = self.file(&path, &field, &entry.node)
                    {
                        message.set_field(&field, value);
                    } else {
                        self.refused.insert(own);
                    }
                }
            }
        }
        message
    }

    /// The entries of a mapping without those whose key was there before.
    pub(super) fn unique<'n>(&mut self, path: &str, entries: &'n [Entry]) -> Vec<&'n Entry> {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut unique = Vec::with_capacity(entries.len());
        for entry in entries {
            match seen.get(entry.key.as_str()) {
                Some(first) => {
                    let message = format!(
                        "'{}' is given twice, first on line {first}",
                        tree::shown(&entry.key)
                    );
                    self.refuse(entry.line, join(path, &entry.key), message);
                }
                None => {
                    seen.insert(&entry.key, entry.line);
                    unique.push(entry);
                }
            }
        }
        unique
    }

    /// Whether a mistake was noted of this field, a part of it, or something that it is a part of.
    /// Cost: O(length of the path · log n).
    pub(super) fn is_refused(&self, field: &str) -> bool {
        let ends = field.match_indices(['.', '[']).map(|(end, _)| end);
        let outer = ends
            .chain([field.len()])
            .any(|end| end > 0 && self.refused.contains(&field[..end]));
        let has_part = |separator: char| {
            let inside = format!("{field}{separator}");
            let next = self.refused.range(inside.clone()..).next();
            next.is_some_and(|path| path.starts_with(&inside))
        };
        outer || (!field.is_empty() && (has_part('.') || has_part('[')))
    }

    pub(super) fn refuse(&mut self, line: usize, field: String, message: impl Into<String>) {
        self.refused.insert(field.clone());
        self.mistakes.push(Mistake {
            line,
            field,
            message: message.into(),
        });
    }

    fn unknown(&mut self, path: &str, descriptor: &MessageDescriptor, entry: &Entry) {
        if LATER_FIELDS.contains(&(descriptor.full_name(), &entry.key)) {
            self.refuse(
                entry.line,
                path.to_owned(),
                format!("'{}' is not supported yet", entry.key),
            );
            return;
        }
        let names: Vec<_> = descriptor
            .fields()
            .filter(|field| !is_kept(field))
            .map(|field| field.json_name().to_owned())
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        if let Some(near) = suggest::nearest(&entry.key, &names) {
            self.refused
                .insert(path.strip_suffix(&entry.key).unwrap_or_default().to_owned() + near);
        }
        self.refuse(
            entry.line,
            path.to_owned(),
            suggest::unknown("field", &entry.key, &names),
        );
    }

    /// Whether neither this field nor another of its oneof was given before.
    fn first(
        &mut self,
        path: &str,
        field: &FieldDescriptor,
        entry: &Entry,
        given: &mut HashMap<String, (String, usize)>,
    ) -> bool {
        let oneof = field
            .containing_oneof()
            .filter(|oneof| !oneof.is_synthetic());
        let group = oneof.map_or_else(
            || field.full_name().to_owned(),
            |oneof| oneof.full_name().to_owned(),
        );
        if let Some((other, line)) = given.get(&group) {
            let message = format!(
                "only one of '{other}' (line {line}) and '{}' can be given",
                entry.key
            );
            self.refuse(entry.line, path.to_owned(), message);
            return false;
        }
        given.insert(group, (entry.key.clone(), entry.line));
        true
    }

    fn file(&mut self, path: &str, field: &FieldDescriptor, node: &Node) -> Option<Value> {
        let tree::Value::Text(name) = &node.value else {
            self.refuse(
                node.line,
                path.to_owned(),
                format!("expected the name of a file, found {}", node.describe()),
            );
            return None;
        };
        match (self.read_file)(name) {
            Ok(content) if field.kind() == Kind::Bytes => {
                Some(Value::Bytes(content.into_bytes().into()))
            }
            Ok(content) => Some(Value::String(content)),
            Err(error) => {
                self.refuse(
                    node.line,
                    path.to_owned(),
                    format!("cannot read '{}': {error}", tree::shown(name)),
                );
                None
            }
        }
    }

    fn field(&mut self, path: &str, field: &FieldDescriptor, node: &Node) -> Option<Value> {
        match &node.value {
            tree::Value::Null if field.is_list() => {
                self.refuse(
                    node.line,
                    path.to_owned(),
                    "nothing is given: write [] for none, or leave the field out",
                );
                None
            }
            tree::Value::Null => None,
            tree::Value::List(items) if field.is_list() => {
                Some(self.list(path, &field.kind(), items))
            }
            tree::Value::Mapping(entries) if field.is_map() => {
                self.map(path, &field.kind(), entries)
            }
            _ if field.is_list() => self.mismatch(path, "a list", node),
            _ if field.is_map() => self.mismatch(path, "a mapping", node),
            _ => self.value(path, &field.kind(), node),
        }
    }

    fn list(&mut self, path: &str, kind: &Kind, items: &[Node]) -> Value {
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.lines.insert(path.clone(), item.line);
            // What cannot be read keeps its place, so that the paths of the others stay right.
            let value = self.value(&path, kind, item);
            values.push(value.unwrap_or_else(|| Value::default_value(kind)));
        }
        Value::List(values)
    }

    fn map(&mut self, path: &str, kind: &Kind, entries: &[Entry]) -> Option<Value> {
        let value_kind = kind.as_message()?.map_entry_value_field().kind();
        let mut values = HashMap::new();
        for entry in self.unique(path, entries) {
            let path = join(path, &entry.key);
            self.lines.insert(path.clone(), entry.line);
            if let Some(value) = self.value(&path, &value_kind, &entry.node) {
                values.insert(MapKey::String(entry.key.clone()), value);
            }
        }
        Some(Value::Map(values))
    }

    fn value(&mut self, path: &str, kind: &Kind, node: &Node) -> Option<Value> {
        match (kind, &node.value) {
            (Kind::Message(descriptor), tree::Value::Mapping(entries))
                if !scalar::is_scalar(descriptor) =>
            {
                let entries = self.unique(path, entries);
                Some(Value::Message(self.message(path, descriptor, &entries)))
            }
            (Kind::Message(descriptor), _) if !scalar::is_scalar(descriptor) => {
                self.mismatch(path, "a mapping", node)
            }
            _ => match scalar::read(kind, node) {
                Ok(value) => Some(value),
                Err(message) => {
                    self.refuse(node.line, path.to_owned(), message);
                    None
                }
            },
        }
    }

    fn mismatch(&mut self, path: &str, expected: &str, node: &Node) -> Option<Value> {
        self.refuse(
            node.line,
            path.to_owned(),
            format!("expected {expected}, found {}", node.describe()),
        );
        None
    }
}

/// What a key stands for.
enum Given {
    Field(FieldDescriptor),
    /// The field whose content is in the named file.
    File(FieldDescriptor),
    /// A field that only the server sets.
    Kept,
    Unknown,
}

fn field_of(descriptor: &MessageDescriptor, key: &str) -> Given {
    if let Some(field) = descriptor.get_field_by_json_name(key) {
        return if is_kept(&field) {
            Given::Kept
        } else {
            Given::Field(field)
        };
    }
    let own = key
        .strip_suffix(FILE_SUFFIX)
        .and_then(|own| descriptor.get_field_by_json_name(own));
    let is_text = |field: &FieldDescriptor| matches!(field.kind(), Kind::String | Kind::Bytes);
    match own.filter(|field| is_text(field) && !field.is_list() && !is_kept(field)) {
        Some(field) => Given::File(field),
        None => Given::Unknown,
    }
}

/// Whether only the server sets a field; it is ignored on input.
pub(super) fn is_kept(field: &FieldDescriptor) -> bool {
    matches!(
        field.name(),
        "uid" | "revision" | "create_time" | "update_time"
    ) || field.full_name() == "inlet.v1.Target.name"
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
