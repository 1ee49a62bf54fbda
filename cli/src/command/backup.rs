//! `lbctl backup`: the whole configuration in a file that only its owner may read.

pub(super) mod format;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;
use jiff::Timestamp;

use super::Session;
use crate::error::{self, Error, count};
use crate::output::form;

/// Flags of `lbctl backup`.
#[derive(Args)]
#[command(
    after_help = "The file holds manifests and a checksum; 'restore' takes it, and 'apply -f' too. Private keys are not in it."
)]
pub(crate) struct Flags {
    /// File to write, replaced whole if it exists, or '-' for standard output
    #[arg(value_name = "FILE")]
    file: String,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    session.out.only_text("backup")?;
    let client = session.connect().await?;
    let (resources, revision) = client.everything().await?;
    let time = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    let text = format::write(&form::documents(&resources), revision, &time.to_string());
    if flags.file == "-" {
        return session.out.print(&text);
    }
    keep(Path::new(&flags.file), &text).map_err(|error| {
        Error::Failed(format!(
            "cannot write {}: {}",
            flags.file,
            error::reason(&error)
        ))
    })?;
    session.out.line(&format!(
        "{} of revision {revision} are kept in {}",
        count(resources.iter().map(size).sum(), "resource"),
        flags.file
    ))
}

/// How many resources one is: a group's targets stand in it.
fn size(resource: &v1::Resource) -> usize {
    match &resource.kind {
        Some(Body::TargetGroup(group)) => 1 + group.targets.len(),
        _ => 1,
    }
}

/// Writes aside, then renames: whoever reads the file sees all of it or what was there before.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    let aside = aside(path)?;
    let written = write_new(&aside, text).and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        // What is left aside is of no use; that it cannot be removed is not the error to tell.
        let _ = fs::remove_file(&aside);
    }
    written?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A name beside the file that nobody else uses.
fn aside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let unique = format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id());
    Ok(path.with_file_name(unique))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_backup_replaces_the_file_whole_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        fs::write(&path, "something longer that was there before").unwrap();
        keep(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder");
        fs::create_dir_all(path.join("full")).unwrap();
        assert!(keep(&path, "new").is_err());
        assert!(keep(&folder.path().join("gone/backup"), "new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
