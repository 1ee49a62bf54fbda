//! An agent's process: it keeps its name, labels, admin port and data folder over restarts.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::client;
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::program;

/// An agent of a [`World`](crate::World).
#[derive(Debug)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Port of its admin address on 127.0.0.1.
    pub admin: u16,
    folder: PathBuf,
    flags: Vec<String>,
    process: Option<Process>,
}

impl Agent {
    pub(super) fn start(agent: &str, flags: &[&str], control_plane: &str, folder: &Path) -> Self {
        let mut words = agent.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let labels = words.flat_map(|label| ["--label".to_owned(), label.to_owned()]);
        let mut all = vec![
            "--control-plane".to_owned(),
            control_plane.to_owned(),
            "--name".to_owned(),
            name.clone(),
        ];
        all.extend(labels.chain(flags.iter().map(|flag| (*flag).to_owned())));
        let mut agent = Self {
            name,
            admin: free_port(),
            folder: folder.to_owned(),
            flags: all,
            process: None,
        };
        agent.restart();
        agent
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// The running process. Panics if it was killed or stopped.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the agent runs")
    }

    /// Waits until its first snapshot is in force, and returns the line that says so.
    pub async fn ready(&mut self) -> String {
        self.process().line("ready: snapshot ").await
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process.take().expect("the agent runs").kill().await;
    }

    /// SIGTERM; returns the exit status.
    pub async fn stop(&mut self) -> Option<i32> {
        self.process().terminate();
        self.ended().await
    }

    /// Waits until it ends by itself; returns the exit status.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut process = self.process.take().expect("the agent runs");
        process.ended().await.code()
    }

    /// Starts it (again) with the same flags and data; returns at once.
    pub fn restart(&mut self) {
        let mut command = Command::new(program("inlet-agent"));
        command.args(&self.flags).args([
            "--workers",
            "2",
            "--admin",
            &format!("127.0.0.1:{}", self.admin),
            "--data-dir",
        ]);
        command.arg(self.data());
        self.process = Some(Process::start(&self.name, command, &self.folder));
    }

    /// A page of its admin address, as (status, text).
    pub async fn page(&self, path: &str) -> (u16, String) {
        let response = client::get(self.admin, path).await;
        (response.status, response.text())
    }

    /// The sum of all series of a metric whose labels contain `labels`.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let (_, text) = self.page("/metrics").await;
        let of_name =
            |line: &&str| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']);
        let series = text
            .lines()
            .filter(of_name)
            .filter(|line| line.contains(labels));
        series
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}
