//! Everything that can go wrong, what is said about it, and the exit status: the only place that decides either.

use std::io;

use inlet_proto::details::{Details, FieldViolation};
use tonic::{Code, Status};

use crate::config::Server;

/// Exit status: refused or failed.
pub(crate) const FAILED: u8 = 1;
/// Exit status: the command line is wrong.
pub(crate) const WRONG_USE: u8 = 2;

/// Why a command does not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line is wrong.
    Usage(String),
    /// Manifests are wrong, or cannot be read; one line each.
    Manifests(Vec<String>),
    /// Nobody answers at the address, or not a control plane.
    Unreachable { server: Server, reason: String },
    /// The answer to a change did not come.
    Lost { server: Server, reason: String },
    /// The control plane has refused, for these reasons.
    Refused(Vec<FieldViolation>),
    /// The control plane has answered with an error.
    Answered { code: Code, message: String },
    /// Something else failed, in a sentence.
    Failed(String),
    /// It failed, and everything was said already.
    Told,
    /// Whoever read the output has enough.
    ClosedPipe,
}

impl Error {
    /// What an RPC has failed with.
    pub(crate) fn from_status(server: &Server, status: &Status) -> Self {
        let details = Details::decode(status.details());
        if !details.violations.is_empty() {
            return Self::Refused(details.violations);
        }
        if details.info.is_none()
            && let Some(reason) = transport(status)
        {
            return Self::Unreachable {
                server: server.clone(),
                reason,
            };
        }
        let message = match status.message() {
            "" => status.code().description().to_owned(),
            message => message.to_owned(),
        };
        Self::Answered {
            code: status.code(),
            message,
        }
    }

    /// Whether something that was asked for is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            Self::Answered { code, .. } => *code == Code::NotFound,
            Self::Refused(violations) => violations
                .iter()
                .any(|violation| violation.reason == "NOT_FOUND"),
            _ => false,
        }
    }

    /// Whether trying again later may mend it.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Answered { code, .. } => *code == Code::Unavailable,
            _ => false,
        }
    }

    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Usage(_) => WRONG_USE,
            _ => FAILED,
        }
    }

    /// What to say, line by line; the last one sums up.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Usage(what) | Self::Failed(what) => vec![format!("error: {what}")],
            Self::Manifests(mistakes) => {
                let mut lines = mistakes.clone();
                lines.push(format!("error: {}; nothing was sent", count(mistakes.len(), "mistake")));
                lines
            }
            Self::Unreachable { server, reason } if was_reached(reason) => vec![
                format!("error: {server} was reached, but does not answer as a control plane: {reason}"),
                "Has it just ended, or is this the port of an agent or of a listener? Name the control plane with \
                 --server, INLET_SERVER or --context."
                    .to_owned(),
            ],
            Self::Unreachable { server, reason } => vec![
                format!("error: no control plane answers at {server}: {reason}"),
                "Is it running? Start one with 'inlet-control-plane --insecure', or name another with --server, \
                 INLET_SERVER or --context."
                    .to_owned(),
            ],
            Self::Lost { server, reason } => vec![
                format!("error: the control plane at {server} did not answer: {reason}"),
                "Whether the change was made is not known: look at 'lbctl history'.".to_owned(),
            ],
            Self::Refused(violations) => {
                let mut lines: Vec<_> = violations.iter().map(violation).collect();
                lines.push("error: refused by the control plane; nothing was changed".to_owned());
                lines
            }
            Self::Answered { code, message } => {
                let mut lines = vec![format!("error: {message}")];
                lines.extend(remedy(*code).map(str::to_owned));
                lines
            }
            Self::Told | Self::ClosedPipe => Vec::new(),
        }
    }
}

/// Whether there was a connection. The layers below tell in words only why there is none; what breaks one that is there
/// has as many names as layers that may notice it first.
fn was_reached(reason: &str) -> bool {
    let never_connected = [
        "refused",
        "unreachable",
        "no route",
        "timed out",
        "timeout expired",
        "no answer within",
        "lookup",
        "not known",
        "name resolution",
        "not permitted",
        "permission denied",
        "cannot assign requested address",
        "too many open files",
    ];
    let reason = reason.to_ascii_lowercase();
    !never_connected.iter().any(|words| reason.contains(words))
}

/// One reason on one line: where, and what.
fn violation(violation: &FieldViolation) -> String {
    match violation.field.as_str() {
        "" => violation.description.clone(),
        field => format!("{field}: {}", violation.description),
    }
}

fn remedy(code: Code) -> Option<&'static str> {
    match code {
        Code::Unauthenticated => Some("Say who you are with --token, INLET_TOKEN or --context."),
        Code::Aborted => Some("Somebody else was faster: look at 'lbctl history' and try again."),
        Code::Unimplemented => Some("Is this another version of Inlet, or another server?"),
        _ => None,
    }
}

/// Why an RPC did not get through; `None` if it did.
fn transport(status: &Status) -> Option<String> {
    std::error::Error::source(status).map(innermost)
}

/// The innermost reason of a failed connection: each layer above only repeats that something failed.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(deeper) = error.source() {
        error = deeper;
    }
    let io = error.downcast_ref::<io::Error>();
    io.map_or_else(|| error.to_string(), reason)
}

/// What the system says, without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let plain = text.split(" (os error").next().unwrap_or(&text);
    plain.to_owned()
}

/// `1 mistake`, `2 mistakes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use inlet_proto::details::{DOMAIN, ErrorInfo};

    use super::*;

    fn server() -> Server {
        Server::parse("http://127.0.0.1:7400").unwrap()
    }

    fn status(code: Code, message: &str, violations: &[(&str, &str)]) -> Status {
        let violations = violations
            .iter()
            .map(|(field, description)| FieldViolation {
                field: (*field).to_owned(),
                description: (*description).to_owned(),
                reason: "MALFORMED".to_owned(),
            });
        let info = ErrorInfo {
            reason: "INVALID".to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: HashMap::new(),
        };
        let details = Details {
            violations: violations.collect(),
            info: Some(info),
        };
        Status::with_details(code, message, details.encode(code as i32, message).into())
    }

    #[test]
    fn what_the_server_says_is_printed_one_reason_a_line() {
        let cases = [
            (
                status(
                    Code::InvalidArgument,
                    "cut",
                    &[
                        ("shop.yaml:12: Rule a/b/c: priority", "must be 1 to 50000"),
                        ("", "and 3 more"),
                    ],
                ),
                vec![
                    "shop.yaml:12: Rule a/b/c: priority: must be 1 to 50000",
                    "and 3 more",
                    "error: refused by the control plane; nothing was changed",
                ],
            ),
            (
                status(Code::NotFound, "there is no Rule a/b/c", &[]),
                vec!["error: there is no Rule a/b/c"],
            ),
            (
                status(Code::Unauthenticated, "who are you?", &[]),
                vec![
                    "error: who are you?",
                    "Say who you are with --token, INLET_TOKEN or --context.",
                ],
            ),
            (
                Status::new(Code::Internal, ""),
                vec!["error: Internal error"],
            ),
        ];
        for (status, lines) in cases {
            let error = Error::from_status(&server(), &status);
            assert_eq!(error.lines(), lines);
            assert_eq!(error.status(), 1);
        }
    }

    #[test]
    fn a_broken_connection_names_the_address_and_the_reason() {
        let refused = io::Error::from_raw_os_error(111);
        let status = Status::from_error(Box::new(refused));
        let lines = Error::from_status(&server(), &status).lines();
        assert_eq!(
            lines[0],
            "error: no control plane answers at http://127.0.0.1:7400: Connection refused"
        );
        assert!(lines[1].contains("--server"), "{lines:?}");

        let broken = io::Error::from_raw_os_error(32);
        let status = Status::from_error(Box::new(broken));
        let lines = Error::from_status(&server(), &status).lines();
        assert_eq!(
            lines[0],
            "error: http://127.0.0.1:7400 was reached, but does not answer as a control plane: Broken pipe"
        );
        assert!(lines[1].contains("the port of an agent"), "{lines:?}");
    }

    #[test]
    fn whoever_hangs_up_is_told_from_whoever_is_not_there() {
        for (reason, reached) in [
            ("connection closed", true),
            ("connection reset", true),
            ("connection was not ready", true),
            ("Timeout expired", false),
            (
                "failed to lookup address information: Name or service not known",
                false,
            ),
            ("Connection reset by peer", true),
            ("operation was canceled: connection closed", true),
            ("http2 error: connection error received", true),
            ("Connection refused", false),
            ("No route to host", false),
            ("no answer within 5 s", false),
        ] {
            assert_eq!(was_reached(reason), reached, "{reason}");
        }
    }

    #[test]
    fn every_error_has_its_exit_status() {
        for (error, status) in [
            (Error::Usage("x".to_owned()), 2),
            (Error::Failed("x".to_owned()), 1),
            (Error::Manifests(vec!["a: b".to_owned()]), 1),
            (Error::Told, 1),
            (Error::ClosedPipe, 0),
        ] {
            assert_eq!(error.status(), status, "{error:?}");
        }
    }
}
