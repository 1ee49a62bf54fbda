//! One started program: its output in files, its end certain.
//!
//! Invariant: no process outlives its test. Dropping kills it, and the kernel does so when the thread that started it
//! ends in any other way.
#![expect(
    unsafe_code,
    reason = "asking the kernel to end a child with its test needs a hook before exec"
)]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::eventually::{eventually, seconds};

/// Longest time a program may take to print its ready line, or a command to end: debug builds on a busy machine.
pub const PATIENCE: Duration = seconds(60);

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command`; its output goes to `NAME.stdout` and `NAME.stderr` in `logs`.
    ///
    /// Panics if it cannot be started.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> Self {
        let [stdout, stderr] = ["stdout", "stderr"].map(|kind| logs.join(format!("{name}.{kind}")));
        let create = |path: &Path| File::create(path).expect("a log file");
        command
            .stdin(Stdio::null())
            .stdout(create(&stdout))
            .stderr(create(&stderr))
            .kill_on_drop(true);
        end_with_this_thread(&mut command);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            child,
            stdout,
            stderr,
        }
    }

    /// Its process id.
    ///
    /// Panics if it has ended and that was seen.
    pub fn id(&self) -> u32 {
        self.child
            .id()
            .unwrap_or_else(|| panic!("{} has ended", self.name))
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has logged so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until it prints a line that begins with `prefix`, and returns the line.
    ///
    /// Panics if it ends before, or does not within [`PATIENCE`].
    pub async fn line(&mut self, prefix: &str) -> String {
        let what = format!("{} prints '{prefix}'", self.name);
        eventually(&what, PATIENCE, async || {
            let ended = self.child.try_wait().expect("its status");
            // Only whole lines: the last one may still be on its way.
            let line = self
                .stdout()
                .split_inclusive('\n')
                .find(|line| line.starts_with(prefix) && line.ends_with('\n'))
                .map(str::to_owned);
            assert!(
                line.is_some() || ended.is_none(),
                "{} ended with {ended:?} before that: {what}",
                self.name
            );
            line
        })
        .await
    }

    /// `kill -9`, and waits for the end.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("SIGKILL");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGHUP, as logrotate does.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits until it ends by itself.
    ///
    /// Panics if it does not within [`PATIENCE`].
    pub async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("{} does not end", self.name))
            .expect("its status")
    }
}

/// A failed test shows what its programs said.
impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- {} said:\n{}{}",
                self.name,
                self.stdout(),
                self.stderr()
            );
        }
    }
}

/// What a command printed, and its exit status.
#[derive(Debug)]
pub struct Output {
    /// As typed, for messages.
    pub command: String,
    /// Exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Runs a command to its end.
    ///
    /// Panics if it cannot be started or does not end within [`PATIENCE`].
    pub async fn of(mut command: Command) -> Self {
        let typed = format!("{:?}", command.as_std());
        end_with_this_thread(&mut command);
        let output = timeout(
            PATIENCE,
            command.stdin(Stdio::null()).kill_on_drop(true).output(),
        )
        .await
        .unwrap_or_else(|_| panic!("does not end: {typed}"))
        .unwrap_or_else(|error| panic!("cannot start {typed}: {error}"));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            command: typed,
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// It ended with this status.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\n{}{}",
            self.command,
            self.stdout,
            self.stderr
        );
        self
    }

    /// It printed all of these.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(
                self.stdout.contains(text),
                "'{text}' is not in the output of {}\n{}{}",
                self.command,
                self.stdout,
                self.stderr
            );
        }
        self
    }

    /// It complained with all of these.
    #[track_caller]
    pub fn complains(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "'{text}' is not in the errors of {}\n{}{}",
                self.command,
                self.stdout,
                self.stderr
            );
        }
        self
    }
}

/// Makes the kernel kill the child when the thread that starts it ends: a test that is aborted leaves nothing behind.
fn end_with_this_thread(command: &mut Command) {
    // SAFETY: the hook runs in the child between fork and exec, makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)
        });
    }
}

fn read(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}
