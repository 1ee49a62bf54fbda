//! Frames: how journals and exports are written, so that every byte of them is checked when it is read.
//!
//! A file is a header (14 bytes that name its kind, 2 of version) and frames: `MAGIC`, kind, number (8 bytes), length
//! (4 bytes), 16 bytes of SHA-256 over these and the payload, then the payload. Numbers are little-endian.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::store::StoreError;

/// The version of both kinds of files that is written; earlier ones would be read here.
const VERSION: u16 = 1;
/// No UTF-8 text contains it, so nothing that a user writes can look like a frame: what follows a damaged place is
/// found by it.
const MAGIC: [u8; 4] = [0xf1, 0x1b, 0xa1, 0x5e];
const CHECKED: usize = MAGIC.len() + 13;
const FRAME_HEADER: usize = CHECKED + 16;
const FILE_HEADER: usize = 16;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Revisions, one after the other.
    Journal,
    /// Everything at one revision.
    Export,
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A revision; its number is the revision's.
    Revision = 1,
    /// A resource; number 0.
    Resource = 2,
    /// The end of an export; its number is the revision's, its payload the number of frames before it.
    End = 3,
}

/// A frame that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// What it holds.
    pub(super) kind: Kind,
    /// See [`Kind`].
    pub(super) number: u64,
    /// Where it begins in the file.
    pub(super) offset: usize,
    /// What it holds.
    pub(super) payload: &'a [u8],
}

/// The frames of a file up to its end, or up to the first byte that is not one's.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    /// Whole frames.
    pub(super) frames: Vec<Frame<'a>>,
    /// Where they end.
    pub(super) whole: usize,
    /// The highest number of the whole frames behind the place where they end, if there are any.
    pub(super) behind: Option<u64>,
}

impl FileKind {
    /// The first bytes of such a file.
    pub(super) fn header(self) -> Vec<u8> {
        let mut header = self.name().to_vec();
        header.extend(VERSION.to_le_bytes());
        header
    }

    fn name(self) -> &'static [u8; 14] {
        match self {
            Self::Journal => b"inlet journal\n",
            Self::Export => b"inlet export\n\n",
        }
    }

    /// Reads all frames of such a file.
    ///
    /// Errors: it is of a later version. A header that is none is a file without frames.
    pub(super) fn scan<'a>(self, path: &Path, bytes: &'a [u8]) -> Result<Scan<'a>, StoreError> {
        let mut scan = Scan {
            frames: Vec::new(),
            whole: 0,
            behind: None,
        };
        if let Some((name, rest)) = bytes.split_first_chunk::<14>()
            && let Some((version, _)) = rest.split_first_chunk::<2>()
            && name == self.name()
        {
            let version = u16::from_le_bytes(*version);
            if version > VERSION {
                let path = path.to_owned();
                return Err(StoreError::Newer { path, version });
            }
            scan.whole = FILE_HEADER;
            while let Some(frame) = read(bytes, scan.whole) {
                scan.whole += FRAME_HEADER + frame.payload.len();
                scan.frames.push(frame);
            }
        }
        let mut offset = scan.whole;
        while offset < bytes.len() {
            let found = read(bytes, offset);
            scan.behind = scan.behind.max(found.map(|frame| frame.number));
            offset += found.map_or(1, |frame| FRAME_HEADER + frame.payload.len());
        }
        Ok(scan)
    }
}

/// Appends a frame to `bytes`.
///
/// Panics on a payload of 4 GiB: the API takes no message of a hundredth of that.
pub(super) fn write(bytes: &mut Vec<u8>, kind: Kind, number: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a payload below 4 GiB");
    let begin = bytes.len();
    bytes.extend(MAGIC);
    bytes.push(kind as u8);
    bytes.extend(number.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    let sum = checksum(&bytes[begin..], payload);
    bytes.extend(sum);
    bytes.extend_from_slice(payload);
}

/// The frame that begins at a place.
fn read(bytes: &[u8], offset: usize) -> Option<Frame<'_>> {
    let (header, rest) = bytes.get(offset..)?.split_at_checked(FRAME_HEADER)?;
    if !header.starts_with(&MAGIC) {
        return None;
    }
    let (checked, sum) = header.split_at(CHECKED);
    let kind = match checked[4] {
        1 => Kind::Revision,
        2 => Kind::Resource,
        3 => Kind::End,
        _ => return None,
    };
    let number = u64::from_le_bytes(checked[5..13].try_into().ok()?);
    let length = u32::from_le_bytes(checked[13..].try_into().ok()?);
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    (checksum(checked, payload) == *sum).then_some(Frame {
        kind,
        number,
        offset,
        payload,
    })
}

fn checksum(header: &[u8], payload: &[u8]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(header);
    hash.update(payload);
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = FileKind::Journal.header();
        for (number, payload) in payloads.iter().enumerate() {
            write(&mut bytes, Kind::Revision, number as u64 + 1, payload);
        }
        bytes
    }

    fn scan(bytes: &[u8]) -> (usize, Option<u64>) {
        let scan = FileKind::Journal.scan(Path::new("x"), bytes).unwrap();
        (scan.frames.len(), scan.behind)
    }

    #[test]
    fn a_file_cut_anywhere_has_the_whole_frames_before_the_cut() {
        let bytes = file(&[b"one", b"", b"three"]);
        let ends: Vec<_> = [&[b"one" as &[u8]][..], &[b"one", b""]]
            .iter()
            .map(|payloads| file(payloads).len())
            .collect();
        for cut in 0..bytes.len() {
            let expected = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(scan(&bytes[..cut]), (expected, None), "{cut}");
        }
        assert_eq!(scan(&bytes), (3, None));
    }

    #[test]
    fn a_byte_changed_anywhere_is_noticed_and_what_is_behind_is_found() {
        let bytes = file(&[b"one", b"two", b"three"]);
        let (header, frame) = (FILE_HEADER, FRAME_HEADER + 3);
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x40;
            // A flipped bit of the version makes it a later one.
            if (14..16).contains(&at) {
                let error = FileKind::Journal.scan(Path::new("x"), &broken).unwrap_err();
                assert!(matches!(error, StoreError::Newer { .. }), "{error}");
                continue;
            }
            let expected = match at {
                _ if at < header => (0, Some(3)),
                _ if at < header + frame => (0, Some(3)),
                _ if at < header + 2 * frame => (1, Some(3)),
                _ => (2, None),
            };
            assert_eq!(scan(&broken), expected, "{at}");
        }
    }

    #[test]
    fn an_export_is_no_journal() {
        let bytes = FileKind::Export.header();
        assert_eq!(scan(&bytes), (0, None));
    }
}
