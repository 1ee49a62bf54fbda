//! Why the demo cannot go on.

use std::io;
use std::path::PathBuf;

use inlet_proto::manifest::ManifestError;

/// What went wrong. The text says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    /// No place for the agents' snapshots.
    #[error("cannot use the temporary folder {}: {error}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Everything is taken.
    #[error("no free port on 127.0.0.1")]
    NoPort,
    /// A sample backend does not start.
    #[error("cannot start backend {name}: {error}")]
    Backend {
        /// Which.
        name: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// The control plane does not start.
    #[error("control plane: {0}")]
    ControlPlane(#[from] inlet_control_plane::start::StartError),
    /// An agent does not start.
    #[error("agent {name}: {error}")]
    Agent {
        /// Which.
        name: &'static str,
        /// Why not.
        error: inlet_agent::start::StartError,
    },
    /// The sample does not parse.
    #[error("the sample configuration, line {}: {} {}: {}", .0.line, .0.resource, .0.field, .0.message)]
    Sample(ManifestError),
    /// Not a URL, or nobody there.
    #[error("cannot connect to the control plane: {0}")]
    Connect(#[from] tonic::transport::Error),
    /// The control plane says no.
    #[error("{call}: {}", status.message())]
    Call {
        /// Name of the RPC.
        call: &'static str,
        /// Its answer.
        status: Box<tonic::Status>,
    },
    /// An agent says no.
    #[error("agent {agent} refused revision {revision}: {reasons}")]
    Refused {
        /// Which.
        agent: String,
        /// What.
        revision: u64,
        /// Why, joined.
        reasons: String,
    },
    /// It takes too long.
    #[error("not done within {seconds} s: {what}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A part of the system ended by itself.
    #[error("{0}")]
    Ended(String),
    /// Signals cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(io::Error),
}
