//! Documents <-> messages, with line numbers and near-miss hints.

use crate::v1;

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

/// Reads all documents of one file (YAML or JSON), and checks each ([`crate::check::check`]).
///
/// `read_file` gives the content of a file named by a `*File` field, relative to the manifest; its error is text.
/// Errors: every mistake of every document, in the order of the lines.
pub fn parse(
    _text: &str,
    _read_file: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Vec<Document>, Vec<ManifestError>> {
    Ok(Vec::new())
}

/// The manifest form of a resource as YAML: `kind` first, then the fields that are set; what the server keeps
/// (uid, revision, times) only if `kept`.
pub fn to_yaml(_resource: &v1::Resource, _kept: bool) -> String {
    String::new()
}

/// The manifest form of a resource as a JSON value; see [`to_yaml`].
pub fn to_json(_resource: &v1::Resource, _kept: bool) -> serde_json::Value {
    serde_json::Value::Null
}
