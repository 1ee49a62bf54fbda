//! The stored form of revisions and resources.

use std::sync::Arc;

use inlet_proto::v1;

/// Encodes a revision.
pub(crate) fn encode_revision(_revision: &v1::Revision) -> Arc<[u8]> {
    unimplemented!()
}

/// Decodes a revision.
pub(crate) fn decode_revision(_bytes: &[u8]) -> Option<v1::Revision> {
    unimplemented!()
}
