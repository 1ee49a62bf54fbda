//! A delivery on the wire: a delta, encoded once for all agents that need it and split into parts of bounded size.
//!
//! The bytes are those of a `ControlMessage` with a `Snapshot`. They are put together from encoded fields, because
//! building the message itself would clone every resource.

use std::sync::Arc;

use inlet_proto::digest::Digest;
use inlet_proto::name::Key;
use inlet_proto::v1;
use prost::Message as _;
use prost::bytes::{Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, message};

use crate::view::{Delta, Entry, View, delta};

/// A part is closed before it grows beyond this, unless one resource alone does. Well below the 4 MiB that gRPC
/// clients accept.
pub(crate) const PART_BYTES: usize = 512 * 1024;
/// Field number of `Snapshot.upserts`.
const UPSERTS: u32 = 3;
/// Field number of `ControlMessage.snapshot`.
const SNAPSHOT: u32 = 1;
/// Bytes around an encoded field: its key and its length, at most.
const FIELD_OVERHEAD: usize = 11;

/// What the agent already has.
#[derive(Debug, Clone)]
pub(crate) enum Base {
    /// Nothing to build on: send everything.
    Nothing,
    /// The same content, at this revision: an empty delta brings it to the view's revision.
    Same(u64),
    /// This view.
    View(Arc<View>),
}

/// What is to be sent to an agent: the view, and what to leave out.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// What the agent has.
    pub(crate) base: Base,
    /// What it must have.
    pub(crate) view: Arc<View>,
}

/// A delivery, encoded. Shape: at least one part, each one a `ControlMessage`.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// In the order in which they are sent.
    pub(crate) parts: Vec<Bytes>,
}

impl Transfer {
    /// Encodes a delivery, in parts of at most `part_bytes` unless one resource alone is larger.
    pub(crate) fn encode(delivery: &Delivery, part_bytes: usize) -> Self {
        let view = &delivery.view;
        let (base_revision, delta) = match &delivery.base {
            Base::Nothing => (0, delta(None, view)),
            Base::Same(revision) => (*revision, Delta::default()),
            Base::View(base) => (base.revision(), delta(Some(base), view)),
        };
        let head = Head {
            revision: view.revision(),
            base_revision,
            digest: view.digest(),
        };
        Self {
            parts: encode(&head, &delta, part_bytes),
        }
    }

    /// Bytes of all parts.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

/// What every part repeats.
struct Head {
    revision: u64,
    base_revision: u64,
    digest: Digest,
}

/// The resources of one part.
#[derive(Default)]
struct Part<'a> {
    removals: Vec<&'a Key>,
    upserts: Vec<&'a Entry>,
}

fn encode(head: &Head, delta: &Delta, part_bytes: usize) -> Vec<Bytes> {
    let parts = split(delta, part_bytes);
    let count = u32::try_from(parts.len()).expect("a view has fewer than 2^32 resources");
    (1..=count)
        .zip(&parts)
        .map(|(number, part)| encode_part(head, part, number, count))
        .collect()
}

fn split(delta: &Delta, part_bytes: usize) -> Vec<Part<'_>> {
    let mut parts = vec![Part::default()];
    let mut bytes = 0;
    let mut room = |size: usize, parts: &mut Vec<Part<'_>>| {
        if bytes > 0 && bytes + size > part_bytes {
            parts.push(Part::default());
            bytes = 0;
        }
        bytes += size;
    };
    for key in &delta.removals {
        room(
            key.name.len() + key.kind.name().len() + FIELD_OVERHEAD,
            &mut parts,
        );
        last(&mut parts).removals.push(key);
    }
    for entry in &delta.upserts {
        room(entry.resource.encoded_len() + FIELD_OVERHEAD, &mut parts);
        last(&mut parts).upserts.push(entry);
    }
    parts
}

fn last<'a, 'b>(parts: &'b mut [Part<'a>]) -> &'b mut Part<'a> {
    parts.last_mut().expect("there is at least one part")
}

fn encode_part(head: &Head, part: &Part<'_>, number: u32, count: u32) -> Bytes {
    let frame = v1::Snapshot {
        revision: head.revision,
        base_revision: head.base_revision,
        upserts: Vec::new(),
        removals: part.removals.iter().map(|key| (*key).into()).collect(),
        digest: head.digest.to_bytes(),
        part: number,
        parts: count,
    };
    let upserts = part.upserts.iter();
    let length = frame.encoded_len()
        + upserts
            .map(|entry| message::encoded_len(UPSERTS, &*entry.resource))
            .sum::<usize>();
    let mut bytes = BytesMut::with_capacity(length + FIELD_OVERHEAD);
    encode_key(SNAPSHOT, WireType::LengthDelimited, &mut bytes);
    encode_varint(length as u64, &mut bytes);
    // Fields of a message may come in any order, and repeated ones anywhere between.
    frame.encode_raw(&mut bytes);
    for entry in &part.upserts {
        message::encode(UPSERTS, &*entry.resource, &mut bytes);
    }
    bytes.freeze()
}
