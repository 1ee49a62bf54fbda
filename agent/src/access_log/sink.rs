//! The thread that writes the log: to a file that may be moved away under it, or to stdout.
//!
//! What cannot be written is tried again every [`RETRY`], from the very byte where it stopped, so that no line is torn
//! by a full disk; meanwhile the queue fills up and the workers drop lines. Said once until it works again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Shared;

/// Time between two attempts to write, and between two looks whether the file was moved.
const RETRY: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    /// `None` = it has none.
    path: Option<PathBuf>,
    looked_at: Instant,
    said_failed: bool,
}

impl Sink {
    /// `-` = stdout. Errors: the file cannot be made or appended to.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        match path.as_os_str() == "-" {
            true => Ok(Self::stream(io::stdout().as_fd().try_clone_to_owned()?)),
            false => Ok(Self {
                path: Some(path.to_owned()),
                ..Self::stream(append_to(path)?)
            }),
        }
    }

    /// What has no path: stdout, a pipe.
    pub(super) fn stream(file: impl Into<File>) -> Self {
        Self {
            file: file.into(),
            path: None,
            looked_at: Instant::now(),
            said_failed: false,
        }
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self, shared: &Arc<Shared>) {
        while let Some(chunk) = shared.queue.take() {
            let lost = self.write(&chunk, shared);
            shared.dropped.fetch_add(lost, Ordering::Relaxed);
            shared.queue.give_back(chunk);
        }
    }

    /// Writes all of it, however long that takes; how many lines were given up as the log ends.
    fn write(&mut self, chunk: &[u8], shared: &Shared) -> u64 {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.follow(shared) {
                // A new file begins with a whole line.
                let written = &chunk[..chunk.len() - rest.len()];
                let line = memchr::memrchr(b'\n', written).map_or(0, |end| end + 1);
                rest = &chunk[line..];
            }
            match self.file.write(rest) {
                Ok(0) => self.failed(&io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.works();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => self.failed(&error),
            }
            if !shared.queue.wait_to_retry(RETRY) {
                return memchr::memchr_iter(b'\n', rest).count() as u64;
            }
        }
        0
    }

    /// Looks whether the file was moved away, at most once a second or when asked to; whether another one was opened.
    fn follow(&mut self, shared: &Shared) -> bool {
        let Some(path) = &self.path else { return false };
        let asked = shared.reopen.swap(false, Ordering::Relaxed);
        if !asked && self.looked_at.elapsed() < RETRY {
            return false;
        }
        self.looked_at = Instant::now();
        if !asked && is_same(path, &self.file) {
            return false;
        }
        match append_to(path) {
            Ok(file) => {
                self.file = file;
                true
            }
            // The old file is better than none.
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.said_failed {
            tracing::error!(%error, path = ?self.path, "cannot write the access log: lines will be dropped until it works again");
        }
        self.said_failed = true;
    }

    fn works(&mut self) {
        if self.said_failed {
            tracing::info!(path = ?self.path, "the access log is written again");
        }
        self.said_failed = false;
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn is_same(path: &Path, file: &File) -> bool {
    match (fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
        _ => false,
    }
}
