//! The stored form of revisions and resources: a version marker, then what that version says.
//!
//! Version 1: the protobuf message. A later version gets its own number and its own arm in `message`; what the earlier
//! ones wrote is read forever, and the fixtures below stay.

use std::sync::Arc;

use inlet_proto::v1;
use prost::Message;

/// The form that is written.
const VERSION: u8 = 1;

/// Why stored bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// A later program wrote it.
    #[error("it is of version {0}, and this program knows versions up to {VERSION}")]
    Newer(u8),
    /// It is none.
    #[error("it cannot be decoded")]
    Broken,
}

/// Encodes a revision, secrets included.
pub(crate) fn encode_revision(revision: &v1::Revision) -> Arc<[u8]> {
    encode(revision).into()
}

/// Decodes a revision. Errors: not one, or one of a later version.
pub(crate) fn decode_revision(bytes: &[u8]) -> Result<v1::Revision, RecordError> {
    let revision: v1::Revision = message(bytes)?;
    (revision.revision != 0)
        .then_some(revision)
        .ok_or(RecordError::Broken)
}

/// Encodes a resource, secrets included.
pub(crate) fn encode_resource(resource: &v1::Resource) -> Vec<u8> {
    encode(resource)
}

/// Decodes a resource. Errors: not one, or one of a later version.
pub(crate) fn decode_resource(bytes: &[u8]) -> Result<v1::Resource, RecordError> {
    let resource: v1::Resource = message(bytes)?;
    resource
        .kind
        .is_some()
        .then_some(resource)
        .ok_or(RecordError::Broken)
}

fn encode(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(VERSION);
    message
        .encode(&mut bytes)
        .expect("a vector grows as it must");
    bytes
}

fn message<M: Message + Default>(bytes: &[u8]) -> Result<M, RecordError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => M::decode(body).map_err(|_| RecordError::Broken),
        Some((&version, _)) if version > VERSION => Err(RecordError::Newer(version)),
        _ => Err(RecordError::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Revision 7 as version 1 wrote it: by alice, `open`, creating TargetGroup web (HTTP, port 80).
    const REVISION_V1: &[u8] =
        b"\x01\x08\x07\x12\x04\x08\x01\x10\x02\x1a\x05alice\x22\x04open\x2a\x23\
        \x0a\x12\x0a\x0bTargetGroup\x12\x03web\x10\x01\x22\x0b\x22\x09\x0a\x03web\x50\x01\x60\x50";
    /// Target web/127.0.0.1:80 as version 1 wrote it.
    const RESOURCE_V1: &[u8] =
        b"\x01\x2a\x20\x0a\x0c127.0.0.1:80\x52\x03web\x5a\x09127.0.0.1\x60\x50";

    fn revision() -> v1::Revision {
        let group = v1::TargetGroup {
            name: "web".to_owned(),
            protocol: v1::Protocol::Http.into(),
            port: 80,
            ..Default::default()
        };
        v1::Revision {
            revision: 7,
            time: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 2,
            }),
            author: "alice".to_owned(),
            message: "open".to_owned(),
            changes: vec![v1::ResourceChange {
                key: Some(v1::ResourceKey {
                    kind: "TargetGroup".to_owned(),
                    name: "web".to_owned(),
                }),
                operation: v1::resource_change::Operation::Created.into(),
                before: None,
                after: Some(group.into()),
            }],
        }
    }

    fn target() -> v1::Resource {
        v1::Target {
            name: "127.0.0.1:80".to_owned(),
            target_group: "web".to_owned(),
            address: "127.0.0.1".to_owned(),
            port: 80,
            ..Default::default()
        }
        .into()
    }

    #[test]
    fn what_version_1_wrote_is_read() {
        assert_eq!(decode_revision(REVISION_V1), Ok(revision()));
        assert_eq!(decode_resource(RESOURCE_V1), Ok(target()));
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(
            decode_revision(&encode_revision(&revision())),
            Ok(revision())
        );
        assert_eq!(decode_resource(&encode_resource(&target())), Ok(target()));
    }

    #[test]
    fn other_bytes_are_refused_and_later_versions_are_named() {
        let later = [&[2], &REVISION_V1[1..]].concat();
        assert_eq!(decode_revision(&later), Err(RecordError::Newer(2)));
        let cut = &REVISION_V1[..REVISION_V1.len() - 3];
        for bytes in [&[][..], &[0], &[1], b"\x01\xff\xff", b"text", cut] {
            let read = decode_revision(bytes);
            assert!(read.is_err(), "{bytes:?}: {read:?}");
            assert!(decode_resource(bytes).is_err(), "{bytes:?}");
        }
    }
}
