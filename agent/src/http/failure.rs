//! Why a request was not answered by a target as it should have been: whose fault it was, and whether to try again.
//!
//! What a failure looks like from outside is decided by [`respond`](super::respond), nowhere else.

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request is not what HTTP/1.1 allows, or could be read in two ways.
    Malformed(Reason),
    /// A method that is never forwarded.
    Method,
    /// The request line is too long.
    UriTooLong,
    /// A header, or all of them, are too long, or there are too many.
    HeadTooLarge,
    /// Not HTTP/1.0 or HTTP/1.1.
    Version,
    /// A transfer coding that we do not know.
    TransferCoding,
    /// Too many addresses in X-Forwarded-For.
    ForwardedFor,
    /// The client stopped in the middle of its request.
    RequestTimeout,
    /// The client closed in the middle of its request.
    RequestCutShort,
    /// The client closed while its answer was under way.
    ClientGone,
    /// The client does not take its answer.
    ClientStalled,
    /// The group has no target that may be chosen.
    NoTarget,
    /// The Location of a redirect would be too long.
    RedirectTooLong,
    /// No descriptor or port is left for a connection to the target.
    NoSocket,
    /// The target refuses connections, or cannot be reached.
    Refused,
    /// The target does not complete a connection in time.
    ConnectTimeout,
    /// The target sent bytes before it was asked.
    SpokeFirst,
    /// The target closed or reset the connection before its response was whole.
    TargetClosed,
    /// The target says nothing.
    ResponseTimeout,
    /// What the target sent is not a response, or could be read in two ways.
    ResponseMalformed,
    /// The head of the response is too large.
    ResponseHeadTooLarge,
    /// The target was deregistered, and its time is over.
    TargetCut,
}

/// What exactly is malformed, in the words of the access log (application load balancer, 4.1) where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Not a token.
    Method,
    /// Control characters, a form that does not fit the method, or no usable host.
    Uri,
    /// Not a version at all.
    Version,
    /// NUL, a lone CR or LF, a folded line, a blank before the colon.
    Header,
    /// A name that a lenient target takes for Content-Length or Transfer-Encoding.
    SuspiciousHeader,
    /// No Host, several, or one that is no host.
    Host,
    /// Transfer-Encoding and Content-Length.
    BothTeClPresent,
    /// Content-Length that is not a number.
    BadContentLength,
    /// Several Content-Lengths.
    MultipleContentLength,
    /// Transfer-Encoding that does not end with chunked.
    BadTransferEncoding,
    /// Chunked more than once.
    MultipleTransferEncodingChunked,
    /// Transfer-Encoding in HTTP/1.0.
    UndefinedTransferEncodingSemantics,
    /// Something in the chunked body.
    Chunk,
}

/// Whose doing it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client's.
    Client,
    /// Ours, or of who configured us.
    Us,
    /// The target's.
    Target,
}

impl Fault {
    /// As the log has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Us => "agent",
            Self::Target => "target",
        }
    }
}

/// What is known of an attempt when it fails.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Connections tried for this request, this one included.
    pub connections: u8,
    /// The connection had served another request before.
    pub reused: bool,
    /// Any byte of the request was sent.
    pub sent: bool,
    /// Any byte of a response was received.
    pub received: bool,
    /// Everything that was sent is still at hand.
    pub repeatable: bool,
    /// Sending the request twice does what sending it once does.
    pub idempotent: bool,
}

/// Whether to try again, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// No.
    No,
    /// On a new connection to the same target.
    SameTarget,
    /// On another target.
    OtherTarget,
}

/// Connections that are opened for one request at most.
const CONNECTIONS_MAX: u8 = 3;

/// The one place where trying again is decided.
///
/// A connection that was refused has carried nothing: another target is tried. A connection from the pool may have
/// been closed by the target while our request was on its way: then the request is sent once more on a new one, if
/// nothing came back and nobody can tell the difference (RFC 9110, 9.2.2).
pub fn retry(failure: Failure, attempt: Attempt) -> Retry {
    if attempt.connections >= CONNECTIONS_MAX || attempt.received || !attempt.repeatable {
        return Retry::No;
    }
    match failure {
        Failure::Refused if !attempt.sent => Retry::OtherTarget,
        Failure::TargetClosed if attempt.reused && (attempt.idempotent || !attempt.sent) => {
            Retry::SameTarget
        }
        _ => Retry::No,
    }
}

impl Failure {
    /// Whose doing it was.
    pub fn fault(self) -> Fault {
        match self {
            Self::Malformed(_)
            | Self::Method
            | Self::UriTooLong
            | Self::HeadTooLarge
            | Self::Version
            | Self::TransferCoding
            | Self::ForwardedFor
            | Self::RequestTimeout
            | Self::RequestCutShort
            | Self::ClientGone
            | Self::ClientStalled => Fault::Client,
            Self::NoTarget | Self::RedirectTooLong | Self::NoSocket => Fault::Us,
            Self::Refused
            | Self::ConnectTimeout
            | Self::SpokeFirst
            | Self::TargetClosed
            | Self::ResponseTimeout
            | Self::ResponseMalformed
            | Self::ResponseHeadTooLarge
            | Self::TargetCut => Fault::Target,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_twice_that_could_count_twice() {
        let pooled = Attempt {
            connections: 1,
            reused: true,
            sent: true,
            received: false,
            repeatable: true,
            idempotent: true,
        };
        let fresh = Attempt {
            reused: false,
            ..pooled
        };
        let cases = [
            (
                "a dead pooled connection",
                Failure::TargetClosed,
                pooled,
                Retry::SameTarget,
            ),
            (
                "the second one dies too",
                Failure::TargetClosed,
                Attempt {
                    connections: 3,
                    ..pooled
                },
                Retry::No,
            ),
            ("a fresh one", Failure::TargetClosed, fresh, Retry::No),
            (
                "a POST",
                Failure::TargetClosed,
                Attempt {
                    idempotent: false,
                    ..pooled
                },
                Retry::No,
            ),
            (
                "a POST that never left",
                Failure::TargetClosed,
                Attempt {
                    idempotent: false,
                    sent: false,
                    ..pooled
                },
                Retry::SameTarget,
            ),
            (
                "half a response",
                Failure::TargetClosed,
                Attempt {
                    received: true,
                    ..pooled
                },
                Retry::No,
            ),
            (
                "a body that is gone",
                Failure::TargetClosed,
                Attempt {
                    repeatable: false,
                    ..pooled
                },
                Retry::No,
            ),
            (
                "refused",
                Failure::Refused,
                Attempt {
                    sent: false,
                    ..fresh
                },
                Retry::OtherTarget,
            ),
            (
                "refused by three",
                Failure::Refused,
                Attempt {
                    sent: false,
                    connections: 3,
                    ..fresh
                },
                Retry::No,
            ),
            ("no answer", Failure::ResponseTimeout, pooled, Retry::No),
            ("garbage", Failure::ResponseMalformed, pooled, Retry::No),
        ];
        for (case, failure, attempt, expected) in cases {
            assert_eq!(retry(failure, attempt), expected, "{case}");
        }
    }
}
