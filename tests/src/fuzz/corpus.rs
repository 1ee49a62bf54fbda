//! The inputs that are kept: handmade ones that lead somewhere, and every one that ever broke a promise.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::{Breach, Target, hash};
use crate::programs::workspace;

/// The inputs of a target, in the order of their names.
///
/// Errors: the folder or a file in it cannot be read.
pub fn read(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder(target.name))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        inputs.push((name, fs::read(entry.path())?));
    }
    inputs.sort();
    Ok(inputs)
}

/// Keeps an input that broke a promise; says where it is then.
pub fn keep(breach: &Breach) -> io::Result<PathBuf> {
    let name = format!("crash-{:016x}", hash(&breach.input));
    let path = folder(breach.target).join(name);
    fs::write(&path, &breach.input)?;
    Ok(path)
}

fn folder(name: &str) -> PathBuf {
    workspace().join("tests/fuzz/corpus").join(name)
}
