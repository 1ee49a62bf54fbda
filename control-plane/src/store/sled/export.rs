//! The export: everything at one revision in one checked file, so that the journal before it can go.

use std::fs::File;
use std::io::{self, Write};

use super::folder::Folder;
use super::frame::{self, FileKind, Kind};
use crate::store::StoreError;
use crate::store::record::encode_resource;
use crate::store::{Loaded, Record};

/// Name of the files, before their revision.
pub(super) const NAME: &str = "export";
/// Bytes that are collected for one write.
const PIECE_BYTES: usize = 256 * 1024;

/// Writes everything; durable and whole when it returns. Gives the size in bytes.
pub(super) fn write(folder: &Folder, whole: &Loaded) -> Result<u64, StoreError> {
    let path = folder.numbered(NAME, whole.revision);
    let mut size = 0;
    folder.write_whole(&path, |file| {
        size = write_to(file, whole)?;
        Ok(())
    })?;
    Ok(size)
}

fn write_to(file: &mut File, whole: &Loaded) -> io::Result<u64> {
    let mut bytes = FileKind::Export.header();
    let mut size = 0;
    let mut flush = |bytes: &mut Vec<u8>, at: usize| {
        if bytes.len() >= at {
            file.write_all(bytes)?;
            size += bytes.len() as u64;
            bytes.clear();
        }
        io::Result::Ok(())
    };
    for resource in &whole.resources {
        frame::write(&mut bytes, Kind::Resource, 0, &encode_resource(resource));
        flush(&mut bytes, PIECE_BYTES)?;
    }
    for Record {
        revision,
        bytes: record,
    } in &whole.records
    {
        frame::write(&mut bytes, Kind::Revision, *revision, record);
        flush(&mut bytes, PIECE_BYTES)?;
    }
    let frames = (whole.resources.len() + whole.records.len()) as u64;
    frame::write(&mut bytes, Kind::End, whole.revision, &frames.to_le_bytes());
    flush(&mut bytes, 0)?;
    Ok(size)
}
