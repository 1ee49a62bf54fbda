//! What the tests of several modules need: a configuration in memory that takes manifests.

use std::collections::BTreeMap;
use std::sync::Arc;

use inlet_proto::manifest;

use crate::model::{Change, State};
use crate::store::Memory;
use crate::writer::{Settings, Writer};

/// A writer over an empty store in memory.
pub(crate) struct World {
    /// The writer.
    pub(crate) writer: Writer,
}

impl World {
    /// Opens it.
    pub(crate) fn open() -> Self {
        let store = Box::new(Memory::default());
        let writer = Writer::open(store, Settings::default()).unwrap();
        Self { writer }
    }

    /// Makes a manifest the next revision.
    pub(crate) async fn apply(&self, text: &str) {
        let change = Change {
            upserts: upserts(text).into_iter().map(Into::into).collect(),
            ..Change::default()
        };
        let outcome = self.writer.apply(change).await.unwrap();
        assert!(outcome.committed, "{text}");
    }

    /// The current state.
    pub(crate) fn state(&self) -> Arc<State> {
        self.writer.state()
    }
}

/// The upserts of a manifest.
pub(crate) fn upserts(text: &str) -> Vec<inlet_proto::v1::Upsert> {
    let documents = manifest::parse(text, &mut |path| Err(format!("{path}: no files here")));
    let upsert = |document: manifest::Document| inlet_proto::v1::Upsert {
        resource: Some(document.resource),
        all_targets: document.all_targets,
        origin: format!("test.yaml:{}", document.line),
    };
    documents.unwrap().into_iter().map(upsert).collect()
}

/// Labels from pairs.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
