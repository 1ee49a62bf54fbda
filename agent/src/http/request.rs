//! The head of a request: parsed, judged, and lent to whoever decides. Pure.
//!
//! What could be read in two ways by anybody behind us is refused here, whatever we would make of it ourselves, or goes
//! on in its one canonical form while neither connection is used again ([`Request::ambiguous`]); the rest of the engine
//! never asks again. Two steps, so that a refused request can still be logged: [`Head::parse`]
//! finds the parts, [`Head::judge`] says what they mean or why not.
//! Source: RFC 9112, 2-6; application load balancer, 2.1-4.7.

use std::mem::MaybeUninit;
use std::net::IpAddr;

use httparse::{Error, Header, Status};

use crate::matching;

use super::failure::{Failure, Reason};
use super::head::{
    ConnectionOptions, Disguise, Framing, HEADER_LINE_BYTES_MAX, HEADERS_MAX, Kind, Lines,
    disguise_of, elements, is_valid_name, kind_of, parse_length,
};
use super::target::Target;

/// Length of a request line.
pub const REQUEST_LINE_BYTES_MAX: usize = 16 * 1024;

/// Length of all headers together.
pub const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// Length of a head: nothing longer is kept waiting for its end.
pub const HEAD_BYTES_MAX: usize = REQUEST_LINE_BYTES_MAX + HEADERS_BYTES_MAX;

/// Addresses in X-Forwarded-For.
const FORWARDED_ADDRESSES_MAX: usize = 30;

/// Where httparse puts what it finds.
pub type Room<'a> = [MaybeUninit<Header<'a>>; HEADERS_MAX];

/// A version that we serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// The parts of a request's head.
#[derive(Debug)]
pub struct Head<'a> {
    /// As sent.
    pub method: &'a [u8],
    /// As sent.
    pub uri: &'a [u8],
    /// As sent.
    pub version: Version,
    /// Everything, line by line.
    pub lines: Lines<'a>,
}

/// What a head means.
#[derive(Debug)]
pub struct Request<'a> {
    /// What is asked for, of which host.
    pub target: Target<'a>,
    /// What is done with each header, in their order.
    pub kinds: [Kind; HEADERS_MAX],
    /// How the body ends.
    pub framing: Framing,
    /// The client will send more requests if it may.
    pub keep_alive: bool,
    /// It wants to speak another protocol, and may.
    pub upgrade: bool,
    /// Targets may disagree about the body: neither connection is used again.
    pub ambiguous: bool,
    /// Addresses in X-Forwarded-For.
    pub forwarded_for: Option<&'a [u8]>,
    /// X-Forwarded-For came in several lines.
    pub forwarded_for_again: bool,
    /// X-Amzn-Trace-Id.
    pub trace_id: Option<&'a [u8]>,
}

/// A header's meaning for a listener.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// See [`HttpService`](crate::table::HttpService).
    pub drop_invalid_header_fields: bool,
}

impl<'a> Head<'a> {
    /// Finds the parts of a head that begins with the first byte. None = its end is not there yet.
    pub fn parse(bytes: &'a [u8], room: &'a mut Room<'a>) -> Result<Option<Self>, Failure> {
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(bytes, room) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return partial(bytes).map(|()| None),
            Err(error) => return Err(failure_of(error, bytes)),
        };
        let (Some(method), Some(uri), Some(version)) =
            (request.method, request.path, request.version)
        else {
            return Err(Failure::Malformed(Reason::Method));
        };
        let head = Self {
            method: method.as_bytes(),
            uri: uri.as_bytes(),
            version: if version == 0 {
                Version::Http10
            } else {
                Version::Http11
            },
            lines: Lines {
                raw: &bytes[..length],
                headers: request.headers,
            },
        };
        head.check_lines()?;
        Ok(Some(head))
    }

    /// Length of the head.
    pub fn length(&self) -> usize {
        self.lines.raw.len()
    }

    /// What it means, or why it is refused.
    pub fn judge(&self, rules: Rules) -> Result<Request<'a>, Failure> {
        if self.method == b"TRACE" || self.method == b"CONNECT" {
            return Err(Failure::Method);
        }
        let mut request = Request {
            target: Target::default(),
            kinds: [Kind::Plain; HEADERS_MAX],
            framing: Framing::Empty,
            keep_alive: self.version == Version::Http11,
            upgrade: false,
            ambiguous: false,
            forwarded_for: None,
            forwarded_for_again: false,
            trace_id: None,
        };
        let facts = self.classify(&mut request, rules)?;
        request.target = Target::parse(self.method, self.uri, facts.host, self.version)?;
        request.framing = self.framing(&facts, &mut request.ambiguous)?;
        if request.framing == Framing::Chunked && facts.length.is_some() {
            drop_lengths(&mut request.kinds);
        }
        if facts.options.names_others {
            self.lines
                .drop_named(&mut request.kinds[..self.lines.headers.len()]);
        }
        let bodiless = request.framing == Framing::Empty;
        request.upgrade = facts.options.upgrade
            && facts.upgrade == Some(true)
            && bodiless
            && self.version == Version::Http11;
        match self.version {
            Version::Http11 => request.keep_alive = !facts.options.close,
            Version::Http10 => {
                request.keep_alive = facts.options.keep_alive && !facts.options.close
            }
        }
        if forwarded_addresses(&self.lines, &request.kinds) > FORWARDED_ADDRESSES_MAX {
            return Err(Failure::ForwardedFor);
        }
        Ok(request)
    }

    /// What rules look at.
    pub fn view<'r>(
        &'r self,
        target: &'r Target<'a>,
        source: IpAddr,
    ) -> matching::Request<'r, &'r Lines<'a>> {
        matching::Request {
            method: self.method,
            host: target.host,
            path: target.path,
            query: target.query,
            source,
            headers: &self.lines,
        }
    }

    /// Sending it twice does what sending it once does (RFC 9110, 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        matches!(
            self.method,
            b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE"
        )
    }

    fn check_lines(&self) -> Result<(), Failure> {
        let starts_at_once = self.method.as_ptr() == self.lines.raw.as_ptr();
        if !starts_at_once || !self.lines.end_with_crlf() {
            return Err(Failure::Malformed(Reason::Header));
        }
        let first = self.lines.first().len();
        if first > REQUEST_LINE_BYTES_MAX {
            return Err(Failure::UriTooLong);
        }
        let mut lengths = (0..self.lines.headers.len()).map(|index| self.lines.line(index).len());
        if self.length() - first > HEADERS_BYTES_MAX
            || lengths.any(|length| length > HEADER_LINE_BYTES_MAX)
        {
            return Err(Failure::HeadTooLarge);
        }
        Ok(())
    }

    /// Goes through the headers once.
    fn classify(&self, request: &mut Request<'a>, rules: Rules) -> Result<Facts<'a>, Failure> {
        let mut facts = Facts::default();
        for (header, kind) in self.lines.headers.iter().zip(&mut request.kinds) {
            let name = header.name.as_bytes();
            *kind = kind_of(name);
            match *kind {
                Kind::Plain => {
                    if !is_valid_name(name) {
                        *kind = kind_of_invalid(name, rules)?;
                    }
                }
                Kind::Host => facts.add_host(header.value)?,
                Kind::Connection => facts.options.add(header.value),
                Kind::ContentLength => {
                    if facts.add_length(header.value)? {
                        *kind = Kind::Dropped;
                        request.ambiguous = true;
                    }
                }
                Kind::TransferEncoding => facts.codings.add(header.value)?,
                Kind::Upgrade => {
                    // All of them go on, so all of them must be good.
                    let others = facts.upgrade.unwrap_or(true);
                    facts.upgrade = Some(others && may_upgrade_to(header.value));
                }
                Kind::ForwardedFor => {
                    request.forwarded_for_again = request.forwarded_for.is_some();
                    request.forwarded_for.get_or_insert(header.value);
                }
                Kind::TraceId => {
                    request.trace_id.get_or_insert(header.value);
                }
                // Nothing an HTTP/1.0 client waits for.
                Kind::Expect if self.version == Version::Http10 => *kind = Kind::Dropped,
                Kind::Expect | Kind::Own | Kind::Hop | Kind::Dropped => {}
            }
        }
        Ok(facts)
    }

    fn framing(&self, facts: &Facts<'_>, ambiguous: &mut bool) -> Result<Framing, Failure> {
        let malformed = |reason| Err(Failure::Malformed(reason));
        let framing = match (facts.codings.verdict()?, facts.length) {
            (Some(_), _) if self.version == Version::Http10 => {
                return malformed(Reason::UndefinedTransferEncodingSemantics);
            }
            (Some(Coding::Identity), Some(_)) => return malformed(Reason::BothTeClPresent),
            (Some(Coding::Chunked), length) => {
                *ambiguous |= length.is_some();
                Framing::Chunked
            }
            // Nobody agrees what identity without a length means.
            (Some(Coding::Identity), None) => {
                *ambiguous = true;
                Framing::Empty
            }
            (None, Some(length)) => Framing::Length(length),
            (None, None) => Framing::Empty,
        };
        let has_body = !matches!(framing, Framing::Empty | Framing::Length(0));
        *ambiguous |= has_body && matches!(self.method, b"GET" | b"HEAD");
        Ok(framing)
    }
}

/// What headers say that must be seen together.
#[derive(Debug, Default)]
struct Facts<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    codings: Codings,
    options: ConnectionOptions,
    /// None = no protocol is named; else whether all that are may be spoken.
    upgrade: Option<bool>,
}

impl<'a> Facts<'a> {
    fn add_host(&mut self, value: &'a [u8]) -> Result<(), Failure> {
        match self.host.replace(value) {
            None => Ok(()),
            Some(_) => Err(Failure::Malformed(Reason::Host)),
        }
    }

    /// Says whether the same length was there before.
    fn add_length(&mut self, value: &[u8]) -> Result<bool, Failure> {
        let length = parse_length(value).ok_or(Failure::Malformed(Reason::BadContentLength))?;
        match self.length.replace(length) {
            None => Ok(false),
            Some(before) if before == length => Ok(true),
            Some(_) => Err(Failure::Malformed(Reason::MultipleContentLength)),
        }
    }
}

/// A transfer coding that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Identity,
}

/// What Transfer-Encoding headers say.
#[derive(Debug, Default)]
struct Codings {
    chunked: u8,
    identity: u8,
    others: u8,
    chunked_last: bool,
}

impl Codings {
    /// One more Transfer-Encoding header. One that says nothing is refused: beside another one targets may take either
    /// for the first.
    fn add(&mut self, value: &[u8]) -> Result<(), Failure> {
        let mut codings = elements(value).peekable();
        if codings.peek().is_none() {
            return Err(Failure::Malformed(Reason::BadTransferEncoding));
        }
        for coding in codings {
            self.chunked_last = coding.eq_ignore_ascii_case(b"chunked");
            let counted = if self.chunked_last {
                &mut self.chunked
            } else if coding.eq_ignore_ascii_case(b"identity") {
                &mut self.identity
            } else {
                &mut self.others
            };
            *counted = counted.saturating_add(1);
        }
        Ok(())
    }

    fn verdict(&self) -> Result<Option<Coding>, Failure> {
        match (self.chunked, self.identity, self.others) {
            (0, 0, 0) => Ok(None),
            (1, 0, 0) => Ok(Some(Coding::Chunked)),
            (0, 1, 0) => Ok(Some(Coding::Identity)),
            (2.., _, _) => Err(Failure::Malformed(Reason::MultipleTransferEncodingChunked)),
            (1, _, _) if !self.chunked_last => Err(Failure::Malformed(Reason::BadTransferEncoding)),
            _ => Err(Failure::TransferCoding),
        }
    }
}

/// A head whose end is not there yet: is it already too long, or no request at all?
fn partial(bytes: &[u8]) -> Result<(), Failure> {
    let line = memchr::memchr(b'\n', bytes);
    if line.unwrap_or(bytes.len()) >= REQUEST_LINE_BYTES_MAX {
        return Err(Failure::UriTooLong);
    }
    if bytes.len() >= HEAD_BYTES_MAX {
        return Err(Failure::HeadTooLarge);
    }
    Ok(())
}

fn failure_of(error: Error, bytes: &[u8]) -> Failure {
    match error {
        Error::TooManyHeaders => Failure::HeadTooLarge,
        Error::Version if names_another_version(bytes) => Failure::Version,
        Error::Version => Failure::Malformed(Reason::Version),
        Error::HeaderName | Error::HeaderValue => Failure::Malformed(Reason::Header),
        Error::NewLine | Error::Status | Error::Token => match memchr::memchr(b' ', bytes) {
            Some(_) => Failure::Malformed(Reason::Uri),
            None => Failure::Malformed(Reason::Method),
        },
    }
}

/// Whether the request line ends like `HTTP/2.0`; with a version that we speak, something else is wrong.
fn names_another_version(bytes: &[u8]) -> bool {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some((_, version)) = line.split_last_chunk::<9>() else {
        return false;
    };
    !matches!(version, b" HTTP/1.0" | b" HTTP/1.1")
        && version.starts_with(b" HTTP/")
        && version[6].is_ascii_digit()
        && version[7] == b'.'
        && version[8].is_ascii_digit()
}

/// A name with other characters than letters, digits and `-`.
fn kind_of_invalid(name: &[u8], rules: Rules) -> Result<Kind, Failure> {
    match disguise_of(name) {
        Disguise::Framing => Err(Failure::Malformed(Reason::SuspiciousHeader)),
        Disguise::Own => Ok(Kind::Dropped),
        Disguise::None if rules.drop_invalid_header_fields => Ok(Kind::Dropped),
        Disguise::None => Ok(Kind::Plain),
    }
}

/// HTTP/2 in plaintext would carry requests past our rules.
fn may_upgrade_to(protocols: &[u8]) -> bool {
    let mut protocols = elements(protocols).peekable();
    protocols.peek().is_some() && !protocols.any(|protocol| protocol.eq_ignore_ascii_case(b"h2c"))
}

/// Chunks say where the body ends; a length beside them does not go on (RFC 9112, 6.3; application load balancer, 4.1).
fn drop_lengths(kinds: &mut [Kind]) {
    for kind in kinds {
        if *kind == Kind::ContentLength {
            *kind = Kind::Dropped;
        }
    }
}

fn forwarded_addresses(lines: &Lines<'_>, kinds: &[Kind]) -> usize {
    let values = lines
        .headers
        .iter()
        .zip(kinds)
        .filter(|(_, kind)| **kind == Kind::ForwardedFor);
    values
        .map(|(header, _)| elements(header.value).count())
        .sum()
}

impl matching::Headers for &Lines<'_> {
    fn any(&self, name: &[u8], look: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers
            .iter()
            .filter(|header| header.name.as_bytes().eq_ignore_ascii_case(name))
            .any(|header| look(header.value))
    }
}
