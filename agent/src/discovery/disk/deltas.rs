//! The form of the file of deltas: what has changed since the whole snapshot, one record after the other. Pure.
//!
//! Header: `MAGIC`, version (u32), SHA-256 of the content of the whole snapshot that the first record follows, then
//! the first 8 bytes of the SHA-256 of all that. Record: length of the content (u32), SHA-256 of the content, the first
//! 8 bytes of the SHA-256 of these two, content. Numbers are little-endian; the content of version 1 is a
//! [`v1::Snapshot`] of one part with a base.
//!
//! A record that is not all there was cut off by a crash and never acknowledged, because an answer waits until it is
//! whole on disk; so were zeros, which a file system may leave where bytes should have come. The head of a record has a
//! checksum of its own, so that a damaged length is not taken for a cut: whatever else does not match is damage.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use inlet_proto::digest::Digest;
use inlet_proto::name::Key;
use inlet_proto::v1;
use prost::Message as _;

use super::whole::{self, Checksum, checksum};
use crate::compile::View;

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"inletdlt";
/// The form that is written.
const VERSION: u32 = 1;
/// Bytes of a checksum over a header or a head.
const CHECK_BYTES: usize = 8;
/// Magic, version, the base's checksum, check.
const HEADER_BYTES: usize = 8 + 4 + 32 + CHECK_BYTES;
/// Length, checksum, check.
const HEAD_BYTES: usize = 4 + 32 + CHECK_BYTES;

/// What a file has.
#[derive(Debug)]
pub(super) struct Deltas {
    /// The whole snapshot that they follow.
    pub(super) base: Checksum,
    /// Each follows the one before, as far as they are intact.
    pub(super) deltas: Vec<v1::Snapshot>,
    /// Why there are no more of them, although there should be.
    pub(super) damage: Option<Damage>,
}

/// Something else than what was written. All before it is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The system does not give it.
    #[error("it cannot be read: {0}")]
    Io(ErrorKind),
    /// Something else, or its begin is damaged.
    #[error("it is not a file of deltas")]
    Foreign,
    /// Written by another version of the agent.
    #[error("it has the form {0}, and this agent knows form {VERSION}")]
    Version(u32),
    /// Some bytes are not those that were written.
    #[error("the checksum of delta {0} does not match")]
    Checksum(usize),
    /// It cannot be read, or does not follow the one before it.
    #[error("delta {0} does not fit what is before it")]
    Misfit(usize),
}

/// What has led from a revision to the view in force, by the keys that have changed, encoded.
pub fn encode(
    base_revision: u64,
    in_force: (u64, Digest),
    view: &View,
    changed: &BTreeSet<Key>,
) -> Vec<u8> {
    let removals = changed.iter().filter(|key| !view.contains_key(key));
    let frame = v1::Snapshot {
        revision: in_force.0,
        base_revision,
        upserts: Vec::new(),
        removals: removals.map(Into::into).collect(),
        digest: in_force.1.to_bytes(),
        part: 1,
        parts: 1,
    };
    whole::encode(&frame, changed.iter().filter_map(|key| view.get(key)))
}

/// The begin of a file of deltas that follow the whole snapshot with this checksum.
pub(super) fn header(base: &Checksum) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC);
    header.extend(VERSION.to_le_bytes());
    header.extend(base);
    header.extend(check(&header));
    header
}

/// One encoded delta as it stands in the file; `None` = it is longer than a record can be.
pub(super) fn record(delta: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(delta.len()).ok()?;
    let mut record = Vec::with_capacity(HEAD_BYTES + delta.len());
    record.extend(length.to_le_bytes());
    record.extend(checksum(delta));
    record.extend(check(&record));
    record.extend(delta);
    Some(record)
}

/// Reads a file; `None` = it was cut off before its first record could begin.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Deltas>, Damage> {
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Ok(None);
    };
    if is_blank(bytes) {
        return Ok(None);
    }
    let mut found = Deltas {
        base: base(header)?,
        deltas: Vec::new(),
        damage: None,
    };
    loop {
        let number = found.deltas.len() + 1;
        let delta = match next(&mut rest) {
            Ok(None) => break,
            Ok(Some(content)) => v1::Snapshot::decode(content).map_err(|_| Damage::Misfit(number)),
            Err(Mismatch) => Err(Damage::Checksum(number)),
        };
        match delta {
            Ok(delta) => found.deltas.push(delta),
            Err(damage) => {
                found.damage = Some(damage);
                break;
            }
        }
    }
    Ok(Some(found))
}

/// What the header names.
fn base(header: &[u8]) -> Result<Checksum, Damage> {
    let (told, told_check) = header.split_at(HEADER_BYTES - CHECK_BYTES);
    let (magic, told_version) = told.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(Damage::Foreign);
    }
    let (version, base) = told_version.split_first_chunk().ok_or(Damage::Foreign)?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    if told_check != check(told) {
        return Err(Damage::Foreign);
    }
    base.try_into().map_err(|_| Damage::Foreign)
}

/// Some bytes of a record are not those that were written.
struct Mismatch;

/// Takes the content of the next record off; `None` = there is no more, or it was cut off.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Mismatch> {
    let Some((head, after)) = rest.split_at_checked(HEAD_BYTES) else {
        return Ok(None);
    };
    if is_blank(rest) {
        return Ok(None);
    }
    let (told, told_check) = head.split_at(HEAD_BYTES - CHECK_BYTES);
    if told_check != check(told) {
        return Err(Mismatch);
    }
    let (length, told_checksum) = told.split_first_chunk().ok_or(Mismatch)?;
    let Some((content, after)) = after.split_at_checked(u32::from_le_bytes(*length) as usize)
    else {
        return Ok(None);
    };
    if told_checksum != checksum(content) {
        return Err(Mismatch);
    }
    *rest = after;
    Ok(Some(content))
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&checksum(bytes)[..CHECK_BYTES]);
    check
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Checksum = [7; 32];

    fn delta(revision: u64) -> v1::Snapshot {
        v1::Snapshot {
            base_revision: revision - 1,
            revision,
            ..Default::default()
        }
    }

    /// A file with deltas that make 2, 3 and 4, and where each record ends.
    fn file() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header(&BASE);
        let mut ends = Vec::new();
        for revision in 2..5 {
            bytes.extend(record(&delta(revision).encode_to_vec()).unwrap());
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn revisions(found: &Deltas) -> Vec<u64> {
        found.deltas.iter().map(|delta| delta.revision).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let (bytes, _) = file();
        let found = parse(&bytes).unwrap().unwrap();
        assert_eq!((found.base, found.damage), (BASE, None));
        assert_eq!(found.deltas, [2, 3, 4].map(delta));
    }

    #[test]
    fn a_cut_anywhere_leaves_what_was_whole_and_is_no_damage() {
        let (bytes, ends) = file();
        for at in 0..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= at).count();
            let mut blank = bytes[..at].to_vec();
            blank.resize(bytes.len() + 100, 0);
            // Zeros after half a record cannot be told from damage; where a record should begin they can.
            let is_between = at == 0 || at == HEADER_BYTES || ends.contains(&at);
            let cut = [Some(&bytes[..at]), is_between.then_some(&blank[..])];
            for bytes in cut.into_iter().flatten() {
                match parse(bytes).unwrap() {
                    Some(found) => {
                        assert_eq!(revisions(&found), [2, 3, 4][..whole], "byte {at}");
                        assert_eq!(found.damage, None, "byte {at}");
                    }
                    None => assert!(at < HEADER_BYTES, "byte {at}"),
                }
            }
        }
    }

    #[test]
    fn a_changed_bit_anywhere_is_damage_and_what_is_before_it_good() {
        let (bytes, ends) = file();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let whole = ends.iter().filter(|end| **end <= at).count();
                match parse(&changed) {
                    Err(_) => assert!(at < HEADER_BYTES, "byte {at}, bit {bit}"),
                    Ok(found) => {
                        let found = found.expect("no cut");
                        assert_eq!(revisions(&found), [2, 3, 4][..whole], "byte {at}");
                        assert_eq!(found.damage, Some(Damage::Checksum(whole + 1)));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut newer = header(&BASE);
        newer[8] = 2;
        let unreadable = [header(&BASE), record(b"\xff").unwrap()].concat();
        for (bytes, expected) in [
            (vec![b'x'; HEADER_BYTES], Damage::Foreign),
            (newer, Damage::Version(2)),
            (unreadable, Damage::Misfit(1)),
        ] {
            let found = parse(&bytes).map(|found| found.unwrap().damage.unwrap());
            assert_eq!(found.unwrap_or_else(|damage| damage), expected);
        }
    }
}
