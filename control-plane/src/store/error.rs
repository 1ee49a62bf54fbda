//! Why a store cannot do what it is asked. Texts say where and what to do.

use std::io;
use std::path::PathBuf;

/// What goes wrong in a store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another process has the directory.
    #[error("the data directory {} is in use by another control plane", folder.display())]
    InUse {
        /// The data directory.
        folder: PathBuf,
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
