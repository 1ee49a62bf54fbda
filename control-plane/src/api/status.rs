//! The only place that turns an error into a gRPC status.
//!
//! Codes are those of the interfaces document; every violation of a refused change is a `google.rpc.BadRequest`
//! field violation (see [`inlet_proto::details`]), the reason of every error a `google.rpc.ErrorInfo`. Statuses
//! travel in HTTP/2 headers, which peers bound to 16 KiB or so: long lists are cut, and say how much is missing.

use std::collections::HashMap;

use inlet_proto::details::{DOMAIN, Details, ErrorInfo, FieldViolation};
use inlet_proto::name::{Key, KeyError};
use tonic::{Code, Status};

use crate::fleet::exchange::CloseReason;
use crate::fleet::introduce::BadHello;
use crate::fleet::roster::Full;
use crate::fleet::session::{End, HELLO_TIMEOUT};
use crate::model::{Violation, ViolationKind};
use crate::writer::{NotKept, Refused};

/// Text of the violations that a status carries at most, in bytes.
const MAX_DETAIL_BYTES: usize = 5 * 1024;
/// Length of a status message, in bytes.
const MAX_MESSAGE_BYTES: usize = 2 * 1024;
/// Length of the place, and of the description, of one violation, in bytes.
const MAX_SENTENCE_BYTES: usize = 1024;

/// What goes wrong in the API itself; what the writer refuses is [`Refused`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// A field of the request cannot be.
    #[error("{field}: {message}")]
    Argument {
        /// Its path in JSON names.
        field: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Keys among the deletions that no resource can have, with their places in the list.
    #[error("{} of the deletions are the address of no resource", .0.len())]
    Deletions(Vec<(usize, KeyError)>),
    /// No such resource.
    #[error("there is no {} {}", .0.kind.name(), .0.name)]
    NoResource(Key),
    /// No such agent.
    #[error("there is no agent '{0}'; 'lbctl agent list' shows those that were seen")]
    NoAgent(String),
    /// A revision that does not exist yet.
    #[error("revision {revision} does not exist yet; the current one is {current}")]
    Ahead {
        /// As asked for.
        revision: u64,
        /// The current one.
        current: u64,
    },
    /// The caller is not known.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "for an Authenticator that knows people; --insecure believes everybody"
        )
    )]
    #[error("{0}")]
    Unauthenticated(String),
    /// The other end does not take what it asked for.
    #[error("the stream was ended because its reader did not keep up")]
    SlowReader,
    /// Too many streams of this sort.
    #[error(
        "{limit} streams of this sort are open, which is the most; close one or try again later"
    )]
    TooManyStreams {
        /// How many may be open.
        limit: usize,
    },
    /// A newer stream has the agent's name.
    #[error(
        "another stream has introduced itself as agent '{0}'; every agent needs a name of its own"
    )]
    Replaced(String),
    /// A stream of an agent on which nobody introduces itself.
    #[error("no Hello within {seconds} s")]
    NoHelloInTime {
        /// The time that it had.
        seconds: u64,
    },
    /// The program ends.
    #[error("the control plane is shutting down")]
    ShuttingDown,
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let message = problem.to_string();
        match problem {
            Problem::Argument {
                field,
                message: text,
            } => {
                let violation = FieldViolation {
                    field: field.to_owned(),
                    description: text,
                    reason: "MALFORMED".to_owned(),
                };
                build(
                    Code::InvalidArgument,
                    message,
                    vec![violation],
                    "INVALID",
                    &[],
                )
            }
            Problem::Deletions(errors) => {
                let carried = errors.iter().map(|(at, error)| FieldViolation {
                    field: format!("deletions[{at}]"),
                    description: error.to_string(),
                    reason: "MALFORMED".to_owned(),
                });
                violated(Code::InvalidArgument, carried)
            }
            Problem::NoResource(key) => {
                let facts = [("kind", key.kind.name().to_owned()), ("name", key.name)];
                build(Code::NotFound, message, Vec::new(), "NOT_FOUND", &facts)
            }
            Problem::NoAgent(name) => {
                let facts = [("agent", name)];
                build(Code::NotFound, message, Vec::new(), "NOT_FOUND", &facts)
            }
            Problem::Ahead { current, .. } => {
                let facts = [("currentRevision", current.to_string())];
                build(Code::OutOfRange, message, Vec::new(), "NOT_YET", &facts)
            }
            Problem::Unauthenticated(_) => plain(Code::Unauthenticated, message, "UNAUTHENTICATED"),
            Problem::SlowReader => plain(Code::ResourceExhausted, message, "SLOW_READER"),
            Problem::TooManyStreams { .. } => {
                plain(Code::ResourceExhausted, message, "TOO_MANY_STREAMS")
            }
            Problem::NoHelloInTime { .. } => plain(Code::DeadlineExceeded, message, "NO_HELLO"),
            Problem::Replaced(_) => plain(Code::Aborted, message, "REPLACED"),
            Problem::ShuttingDown => plain(Code::Unavailable, message, "SHUTTING_DOWN"),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Self::Argument {
            field: "key",
            message: error.to_string(),
        }
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Invalid(violations) => invalid(&violations),
            Refused::Conflict { expected, current } => {
                let facts = [
                    ("expectedRevision", expected.to_string()),
                    ("currentRevision", current.to_string()),
                ];
                build(
                    Code::Aborted,
                    message,
                    Vec::new(),
                    "REVISION_CONFLICT",
                    &facts,
                )
            }
            Refused::NotKept(not_kept) => not_kept.into(),
            Refused::Storage { .. } => {
                tracing::error!(message, "a change could not be stored");
                plain(Code::Unavailable, message, "STORAGE")
            }
            Refused::Closed => Problem::ShuttingDown.into(),
        }
    }
}

impl From<NotKept> for Status {
    fn from(not_kept: NotKept) -> Self {
        plain(Code::OutOfRange, not_kept.to_string(), "NOT_KEPT")
    }
}

impl From<BadHello> for Problem {
    fn from(BadHello { field, message }: BadHello) -> Self {
        Self::Argument { field, message }
    }
}

impl From<End> for Status {
    fn from(end: End) -> Self {
        match end {
            End::Hello(bad) => Problem::from(bad).into(),
            End::Full(full) => full.into(),
            End::Closed(reason) => reason.into(),
            End::NeverGreeted => Problem::NoHelloInTime {
                seconds: HELLO_TIMEOUT.as_secs(),
            }
            .into(),
        }
    }
}

impl From<CloseReason> for Status {
    fn from(reason: CloseReason) -> Self {
        let (code, name) = match reason {
            CloseReason::NoHello => (Code::FailedPrecondition, "NO_HELLO"),
            CloseReason::NeverSent { .. } => (Code::InvalidArgument, "NEVER_SENT"),
            CloseReason::NoAnswer { .. } => (Code::DeadlineExceeded, "NO_ANSWER"),
        };
        plain(code, reason.to_string(), name)
    }
}

impl From<Full> for Status {
    fn from(full: Full) -> Self {
        plain(Code::ResourceExhausted, full.to_string(), "TOO_MANY_AGENTS")
    }
}

/// A change that was refused: the code of what must be mended first (the order of [`ViolationKind`]), and all
/// violations in the details.
fn invalid(violations: &[Violation]) -> Status {
    let kinds = violations.iter().map(|violation| violation.kind);
    let kind = kinds.min();
    let code = kind.map_or(Code::InvalidArgument, code);
    violated(code, violations.iter().map(carry))
}

/// A status with all violations, or as many as fit and how many more there are.
fn violated(code: Code, violations: impl ExactSizeIterator<Item = FieldViolation>) -> Status {
    let count = violations.len();
    let mut found = Vec::new();
    let mut message = String::new();
    let mut bytes = 0;
    for (at, mut carried) in violations.enumerate() {
        shorten(&mut carried);
        let sentence = format!("{}: {}", carried.field, carried.description);
        let sentence = sentence.trim_start_matches(": ");
        let rest = count - at;
        bytes += sentence.len() + carried.reason.len();
        if bytes > MAX_DETAIL_BYTES && at > 0 {
            found.push(missing(rest));
            break;
        }
        append(&mut message, sentence, rest);
        found.push(carried);
    }
    build(code, message, found, "INVALID", &[])
}

/// Adds a sentence to the message, or how many there are, once, when it is long enough.
fn append(message: &mut String, sentence: &str, rest: usize) {
    const MORE: &str = " more";
    const ROOM: usize = MAX_MESSAGE_BYTES - "; and 4294967295 more".len();
    if message.ends_with(MORE) {
        return;
    }
    if !message.is_empty() {
        message.push_str("; ");
        if message.len() + sentence.len() > ROOM {
            message.push_str(&format!("and {rest}{MORE}"));
            return;
        }
    }
    message.push_str(&sentence[..sentence.floor_char_boundary(ROOM)]);
}

fn missing(rest: usize) -> FieldViolation {
    FieldViolation {
        field: String::new(),
        description: format!("and {rest} more"),
        reason: String::new(),
    }
}

fn carry(violation: &Violation) -> FieldViolation {
    let key = violation.key.as_ref();
    let key = key.map_or_else(String::new, |key| {
        format!("{} {}", key.kind.name(), key.name)
    });
    let origin = violation.origin.clone().unwrap_or_default();
    let parts = [origin, key, violation.field.clone()];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    FieldViolation {
        field: parts.join(": "),
        description: violation.message.clone(),
        reason: reason(violation.kind).to_owned(),
    }
}

fn shorten(violation: &mut FieldViolation) {
    cut(&mut violation.field, MAX_SENTENCE_BYTES);
    cut(&mut violation.description, MAX_SENTENCE_BYTES);
}

fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

fn code(kind: ViolationKind) -> Code {
    match kind {
        ViolationKind::Malformed => Code::InvalidArgument,
        ViolationKind::NotFound => Code::NotFound,
        ViolationKind::Reference | ViolationKind::Protected | ViolationKind::Clash => {
            Code::FailedPrecondition
        }
        ViolationKind::Quota => Code::ResourceExhausted,
    }
}

fn reason(kind: ViolationKind) -> &'static str {
    match kind {
        ViolationKind::Malformed => "MALFORMED",
        ViolationKind::NotFound => "NOT_FOUND",
        ViolationKind::Reference => "REFERENCE",
        ViolationKind::Protected => "PROTECTED",
        ViolationKind::Clash => "CLASH",
        ViolationKind::Quota => "QUOTA",
    }
}

fn plain(code: Code, message: String, reason: &str) -> Status {
    build(code, message, Vec::new(), reason, &[])
}

/// Every status is made here, and bounded: what it repeats of a request may have any length.
fn build(
    code: Code,
    mut message: String,
    mut violations: Vec<FieldViolation>,
    reason: &str,
    facts: &[(&str, String)],
) -> Status {
    cut(&mut message, MAX_MESSAGE_BYTES);
    violations.iter_mut().for_each(shorten);
    let facts = facts.iter();
    let metadata: HashMap<String, String> = facts
        .map(|(name, value)| {
            let end = value.floor_char_boundary(MAX_SENTENCE_BYTES);
            ((*name).to_owned(), value[..end].to_owned())
        })
        .collect();
    let details = Details {
        violations,
        info: Some(ErrorInfo {
            reason: reason.to_owned(),
            domain: DOMAIN.to_owned(),
            metadata,
        }),
    };
    let bytes = details.encode(code as i32, "");
    Status::with_details(code, message, bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that a status takes in the headers, percent-encoding and base64 included at their worst.
    fn header_bytes(status: &Status) -> usize {
        3 * status.message().len() + status.details().len().div_ceil(3) * 4
    }

    #[test]
    fn whatever_a_client_calls_things_a_status_fits_into_headers() {
        let long = "x".repeat(1 << 20);
        let key = Key::of(inlet_proto::kind::Kind::TargetGroup, &long).unwrap();
        let argument = Problem::Argument {
            field: "kind",
            message: format!("unknown kind '{long}'"),
        };
        let unauthenticated = Problem::Unauthenticated(long.clone());
        for problem in [
            Problem::NoResource(key),
            Problem::NoAgent(long.clone()),
            Problem::Replaced(long.clone()),
            argument,
            unauthenticated,
            Problem::Deletions(vec![(0, KeyError::UnknownKind { kind: long }); 3000]),
        ] {
            let status = Status::from(problem);
            let bytes = header_bytes(&status);
            assert!(bytes <= 14 * 1024, "{bytes} bytes of {:?}", status.code());
            assert!(Details::decode(status.details()).info.is_some());
        }
    }
}
