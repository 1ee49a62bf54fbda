//! The form of the whole snapshot's file: it says itself whether it is intact.
//!
//! `MAGIC`, version (u32), length of the content (u64), SHA-256 of the content, content; numbers little-endian.
//! The content of version 1 is a complete [`v1::Snapshot`] of one part.

use std::sync::Arc;

use inlet_proto::v1;
use prost::Message as _;
use prost::encoding::message;
use sha2::{Digest as _, Sha256};

use super::super::CompleteSnapshot;
use super::LoadError;

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"inletsnp";
/// The form that is written.
pub(super) const VERSION: u32 = 1;
/// Magic, version, length, checksum.
pub(super) const HEADER_BYTES: usize = 8 + 4 + 8 + 32;
/// Field number of `Snapshot.upserts`.
const UPSERTS: u32 = 3;

/// SHA-256 of some content; names the whole snapshot that deltas follow.
pub(super) type Checksum = [u8; 32];

/// The checksum of these bytes.
pub(super) fn checksum(content: &[u8]) -> Checksum {
    Sha256::digest(content).into()
}

/// What stands before the content.
pub(super) fn header(content: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC);
    header.extend(VERSION.to_le_bytes());
    header.extend((content.len() as u64).to_le_bytes());
    header.extend(checksum(content));
    header
}

/// The content of a file, checked, and its checksum.
pub(super) fn unwrap(bytes: &[u8]) -> Result<(&[u8], Checksum), LoadError> {
    let mut rest = bytes;
    let mut field = |length| rest.split_off(..length).ok_or(LoadError::Foreign);
    if field(MAGIC.len())? != MAGIC {
        return Err(LoadError::Foreign);
    }
    let version = u32::from_le_bytes(array(field(4)?)?);
    if version != VERSION {
        return Err(LoadError::Version(version));
    }
    let expected = u64::from_le_bytes(array(field(8)?)?);
    let told: Checksum = array(field(32)?)?;
    let found = rest.len() as u64;
    if found != expected {
        return Err(LoadError::Length { expected, found });
    }
    if told != checksum(rest) {
        return Err(LoadError::Checksum);
    }
    Ok((rest, told))
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], LoadError> {
    bytes.try_into().map_err(|_| LoadError::Foreign)
}

/// The content for a snapshot.
pub(super) fn content(snapshot: &CompleteSnapshot) -> Vec<u8> {
    let frame = v1::Snapshot {
        revision: snapshot.revision,
        digest: snapshot.digest.to_bytes(),
        part: 1,
        parts: 1,
        ..Default::default()
    };
    encode(&frame, &snapshot.resources)
}

/// An encoded message, put together from its fields: building it with `upserts` inside would clone every resource.
pub(super) fn encode<'a>(
    frame: &v1::Snapshot,
    upserts: impl IntoIterator<Item = &'a Arc<v1::Resource>>,
) -> Vec<u8> {
    let mut bytes = frame.encode_to_vec();
    for resource in upserts {
        message::encode(UPSERTS, &**resource, &mut bytes);
    }
    bytes
}
