//! The control plane's process: it keeps its port and data folder over restarts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use crate::ports::free_port;
use crate::process::Process;
use crate::programs::program;

/// The control plane of a [`World`](crate::World).
#[derive(Debug)]
pub struct ControlPlane {
    port: u16,
    folder: PathBuf,
    data: PathBuf,
    process: Option<Process>,
}

impl ControlPlane {
    pub(super) async fn start(folder: &Path) -> Self {
        let mut control_plane = Self {
            port: free_port(),
            folder: folder.to_owned(),
            data: folder.join("control-plane"),
            process: None,
        };
        control_plane.restart().await;
        control_plane
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The running process. Panics if it was killed or stopped.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the control plane runs")
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process
            .take()
            .expect("the control plane runs")
            .kill()
            .await;
    }

    /// SIGTERM; returns the exit status.
    pub async fn stop(&mut self) -> Option<i32> {
        let mut process = self.process.take().expect("the control plane runs");
        process.terminate();
        process.ended().await.code()
    }

    /// Starts it (again) on the same port with the same data, and waits until it is ready.
    pub async fn restart(&mut self) {
        let mut process = Process::start("control-plane", self.command(), &self.folder);
        process.line("ready: listening on http://").await;
        self.process = Some(process);
    }

    /// From the next start on, its data is in this folder (of the world's folder).
    pub fn move_data(&mut self, name: &str) {
        self.data = self.folder.join(name);
    }

    /// Starts it (again) and kills it (`kill -9`) after this time, ready or not.
    pub async fn restart_and_kill(&mut self, after: Duration) {
        let process = Process::start("control-plane", self.command(), &self.folder);
        sleep(after).await;
        process.kill().await;
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program("inlet-control-plane"));
        command
            .args([
                "--insecure",
                "--listen",
                &format!("127.0.0.1:{}", self.port),
                "--data-dir",
            ])
            .arg(self.data());
        command
    }
}
