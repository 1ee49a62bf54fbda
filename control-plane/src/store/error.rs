//! Why a store cannot do what it is asked. Texts say where and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// What goes wrong in a store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another process has the directory.
    #[error(
        "the data directory {} is in use by another control plane: stop that one, or choose another with --data-dir",
        folder.display()
    )]
    InUse {
        /// The data directory.
        folder: PathBuf,
    },
    /// Something else has its name.
    #[error(
        "the data directory {} is not a directory: move it away, or choose another with --data-dir",
        folder.display()
    )]
    NotAFolder {
        /// What was given.
        folder: PathBuf,
    },
    /// The operating system refuses the directory.
    #[error(
        "cannot use the data directory {}: {error}; make it writable for this user, or choose another with --data-dir",
        folder.display()
    )]
    Unusable {
        /// The data directory.
        folder: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A later program wrote it.
    #[error(
        "{} was written by a newer control plane (version {version}): start that one, or choose another --data-dir",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// What was written is not there any more, and there is no second copy of it.
    #[error(
        "{} is damaged at byte {offset} ({what}), and the database beside it does not have everything: \
         restore the data directory from a copy, or start with an empty --data-dir and 'lbctl restore'",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// There is only a database, and it cannot be read.
    #[error(
        "the data directory {} has no journal, and its database cannot be read ({why}): \
         restore it from a copy, or start with an empty --data-dir and 'lbctl restore'",
        folder.display()
    )]
    NoJournal {
        /// The data directory.
        folder: PathBuf,
        /// What is wrong with the database.
        why: String,
    },
    /// The operating system refuses.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried: `write`, `open`.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

impl StoreError {
    /// For `map_err`: what was tried with what.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io {
            action,
            path,
            error,
        }
    }
}
