//! The form of a backup: a head of YAML comments with a checksum over the body, then manifests. `apply` reads it too.
//!
//! ```text
//! # inlet-backup 1
//! # revision: 7
//! # time: 2026-11-03T10:00:12Z
//! # sha256: 5e88...
//! ---
//! kind: LoadBalancer
//! ```

use sha2::{Digest, Sha256};

/// What the first line of every backup begins with.
const MAGIC: &str = "# inlet-backup ";
/// The version that is written, and the only one that is read.
const VERSION: &str = "1";
const REVISION: &str = "# revision: ";
const TIME: &str = "# time: ";
const CHECKSUM: &str = "# sha256: ";
/// Ends the head.
const BODY: &str = "---\n";

/// A backup, read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::command) struct Backup<'a> {
    /// Of the configuration.
    pub(in crate::command) revision: u64,
    /// The manifests.
    pub(in crate::command) body: &'a str,
    /// Lines before the body, for the lines of mistakes.
    pub(in crate::command) head_lines: usize,
}

/// Why a text is not a backup.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::command) enum NotABackup {
    /// It does not begin as one.
    #[error("is not a backup: use 'lbctl apply -f' for manifests")]
    Other,
    /// Of another version.
    #[error("is a backup of version {0}, this lbctl reads version {VERSION}")]
    Version(String),
    /// Its head is not whole.
    #[error("is a damaged backup: its head has no {0}")]
    Head(&'static str),
    /// It is not as it was written.
    #[error("is a damaged backup: its checksum does not hold")]
    Checksum,
}

/// The text of a backup.
pub(in crate::command) fn write(manifests: &str, revision: u64, time: &str) -> String {
    let checksum = checksum(revision, time, manifests);
    format!(
        "{MAGIC}{VERSION}\n{REVISION}{revision}\n{TIME}{time}\n{CHECKSUM}{checksum}\n{BODY}{manifests}"
    )
}

/// Reads a text. Errors: it is not a backup, or not as it was written.
pub(in crate::command) fn read(text: &str) -> Result<Backup<'_>, NotABackup> {
    let rest = text.strip_prefix(MAGIC).ok_or(NotABackup::Other)?;
    let (version, rest) = rest.split_once('\n').ok_or(NotABackup::Head("revision"))?;
    if version != VERSION {
        return Err(NotABackup::Version(version.chars().take(20).collect()));
    }
    let (revision, rest) = field(rest, REVISION, "revision")?;
    let (time, rest) = field(rest, TIME, "time")?;
    let (sum, rest) = field(rest, CHECKSUM, "sha256")?;
    let body = rest.strip_prefix(BODY).ok_or(NotABackup::Head("end"))?;
    let revision = revision.parse().map_err(|_| NotABackup::Head("revision"))?;
    if sum != checksum(revision, time, body) {
        return Err(NotABackup::Checksum);
    }
    let head_lines = text[..text.len() - body.len()].lines().count();
    Ok(Backup {
        revision,
        body,
        head_lines,
    })
}

fn field<'a>(
    text: &'a str,
    prefix: &str,
    name: &'static str,
) -> Result<(&'a str, &'a str), NotABackup> {
    let rest = text.strip_prefix(prefix).ok_or(NotABackup::Head(name))?;
    rest.split_once('\n').ok_or(NotABackup::Head(name))
}

/// Over the head too: a revision that was changed is noticed.
fn checksum(revision: u64, time: &str, body: &str) -> String {
    let sum = Sha256::digest(format!("{revision}\n{time}\n{body}"));
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "kind: TargetGroup\nname: a\nprotocol: HTTP\nport: 80\n";

    #[test]
    fn what_is_written_is_read() {
        for manifests in [MANIFEST, ""] {
            let text = write(manifests, 7, "2026-11-03T10:00:12Z");
            let backup = read(&text).unwrap();
            assert_eq!(
                (backup.revision, backup.body, backup.head_lines),
                (7, manifests, 5)
            );
        }
    }

    #[test]
    fn any_damage_is_noticed() {
        let text = write(MANIFEST, 7, "2026-11-03T10:00:12Z");
        for at in 0..text.len() {
            assert!(read(&text[..at]).is_err(), "cut at {at}");
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            assert!(
                read(str::from_utf8(&bytes).unwrap()).is_err(),
                "changed at {at}"
            );
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(read(MANIFEST), Err(NotABackup::Other));
        assert_eq!(read(""), Err(NotABackup::Other));
        assert_eq!(
            read("# inlet-backup 2\n"),
            Err(NotABackup::Version("2".to_owned()))
        );
    }
}
