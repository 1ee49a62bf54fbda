//! The head of a target's response: parsed, judged as strictly as a request's, rewritten for the client. Pure.
//!
//! A response that two readers could frame differently is no response (502). One that needs no change goes on as the
//! bytes that it came in.
//! Source: RFC 9112, 4-6; application load balancer, 3.3, 4.7.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::failure::Failure;
use super::head::{
    ConnectionOptions, Disguise, Framing, HEADERS_MAX, Kind, Lines, Rewrite, disguise_of,
    is_valid_name, kind_of, parse_length, write_header,
};
use super::respond::{Persistence, has_body, phrase, write_persistence, write_status_line};

/// Length of a response's head.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 32 * 1024;

/// Where httparse puts what it finds.
pub type Room<'a> = [MaybeUninit<Header<'a>>; HEADERS_MAX];

/// The head of a response, and what it means.
#[derive(Debug)]
pub struct Response<'a> {
    /// 100..=599.
    pub status: u16,
    /// How its body ends on the target's connection.
    pub framing: Framing,
    /// The target will take another request on the connection.
    pub keep_alive: bool,
    lines: Lines<'a>,
    phrase: &'a [u8],
    kinds: [Kind; HEADERS_MAX],
    /// The first line is as we would write it.
    is_canonical: bool,
}

/// How the client gets the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it comes.
    AsIs,
    /// Framed by us, because the target frames it by its end.
    Chunk,
    /// Without the target's chunks, ended by closing: HTTP/1.0.
    Unchunk,
}

impl<'a> Response<'a> {
    /// A head that begins with the first byte. None = its end is not there yet. `to_head`: the request was HEAD.
    ///
    /// Errors: [`Failure::ResponseMalformed`], [`Failure::ResponseHeadTooLarge`].
    pub fn parse(
        bytes: &'a [u8],
        room: &'a mut Room<'a>,
        to_head: bool,
    ) -> Result<Option<Self>, Failure> {
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut response, bytes, room) {
            Ok(Status::Complete(length)) if length <= RESPONSE_HEAD_BYTES_MAX => length,
            Ok(Status::Partial) if bytes.len() < RESPONSE_HEAD_BYTES_MAX => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => {
                return Err(Failure::ResponseHeadTooLarge);
            }
            Err(_) => return Err(Failure::ResponseMalformed),
        };
        let (Some(version), Some(status @ 100..=599)) = (response.version, response.code) else {
            return Err(Failure::ResponseMalformed);
        };
        let lines = Lines {
            raw: &bytes[..length],
            headers: response.headers,
        };
        if !lines.end_with_crlf() || !lines.raw.starts_with(b"HTTP/") {
            return Err(Failure::ResponseMalformed);
        }
        let phrase = response.reason.unwrap_or_default().as_bytes();
        Self::judge(lines, version, status, phrase, to_head).map(Some)
    }

    /// Length of the head.
    pub fn length(&self) -> usize {
        self.lines.raw.len()
    }

    /// How a client gets the body.
    pub fn coding(&self, client_knows_chunks: bool) -> Coding {
        match self.framing {
            Framing::Chunked if !client_knows_chunks => Coding::Unchunk,
            Framing::UntilClose if client_knows_chunks => Coding::Chunk,
            _ => Coding::AsIs,
        }
    }

    /// Whether the bytes that came are what the client gets.
    pub fn goes_on_unchanged(&self, coding: Coding, persistence: Persistence) -> bool {
        let all_stay = || {
            (0..self.lines.headers.len())
                .all(|index| self.stays(index, coding) && self.lines.is_canonical(index))
        };
        // On 101 we always say what Connection says.
        self.is_canonical
            && self.status != 101
            && coding == Coding::AsIs
            && persistence == Persistence::Default
            && all_stay()
    }

    /// The head for the client. On 101, Upgrade and Connection are what it is about.
    pub fn write(&self, out: &mut Vec<u8>, coding: Coding, persistence: Persistence) {
        let mut rewrite = Rewrite::new(self.lines.raw, out);
        if !self.is_canonical {
            let phrase = if self.phrase.is_empty() {
                phrase(self.status).as_bytes()
            } else {
                self.phrase
            };
            rewrite.skip(0, self.lines.first().len());
            write_status_line(rewrite.out, self.status, phrase);
        }
        for index in 0..self.lines.headers.len() {
            if self.stays(index, coding) {
                rewrite.keep(&self.lines, index);
            } else {
                rewrite.skip(self.lines.start(index), self.lines.start(index + 1));
            }
        }
        rewrite.flush(self.length() - 2);
        if coding == Coding::Chunk {
            write_header(out, b"Transfer-Encoding", b"chunked");
        }
        match self.status {
            101 => write_header(out, b"Connection", b"Upgrade"),
            _ => write_persistence(out, persistence),
        }
        out.extend_from_slice(b"\r\n");
    }

    fn judge(
        lines: Lines<'a>,
        version: u8,
        status: u16,
        phrase: &'a [u8],
        to_head: bool,
    ) -> Result<Self, Failure> {
        let mut response = Self {
            status,
            framing: Framing::Empty,
            keep_alive: false,
            lines,
            phrase,
            kinds: [Kind::Plain; HEADERS_MAX],
            is_canonical: is_canonical(&lines, phrase),
        };
        let (mut options, mut length, mut chunked) = (ConnectionOptions::default(), None, false);
        for (header, kind) in lines.headers.iter().zip(&mut response.kinds) {
            *kind = kind_of(header.name.as_bytes());
            let is_bad = match *kind {
                Kind::ContentLength => {
                    let value = parse_length(header.value).ok_or(Failure::ResponseMalformed)?;
                    length.replace(value).is_some()
                        || (header.value.len() > 1 && header.value[0] == b'0')
                }
                Kind::TransferEncoding => {
                    // Anything else is a coding that the client may know and we do not.
                    let is_chunked = header.value.eq_ignore_ascii_case(b"chunked");
                    std::mem::replace(&mut chunked, true) || !is_chunked
                }
                Kind::Connection => {
                    options.add(header.value);
                    false
                }
                Kind::Plain => {
                    let name = header.name.as_bytes();
                    !is_valid_name(name) && disguise_of(name) == Disguise::Framing
                }
                _ => false,
            };
            if is_bad {
                return Err(Failure::ResponseMalformed);
            }
        }
        if chunked && (length.is_some() || version == 0) {
            return Err(Failure::ResponseMalformed);
        }
        if options.names_others {
            lines.drop_named(&mut response.kinds[..lines.headers.len()]);
        }
        response.framing = match (chunked, length) {
            _ if to_head || !has_body(status) => Framing::Empty,
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::UntilClose,
        };
        response.keep_alive = response.framing != Framing::UntilClose
            && !options.close
            && (version == 1 || options.keep_alive);
        Ok(response)
    }

    fn stays(&self, index: usize, coding: Coding) -> bool {
        match self.kinds[index] {
            Kind::Plain
            | Kind::Host
            | Kind::Expect
            | Kind::ForwardedFor
            | Kind::TraceId
            | Kind::Own => true,
            // A client would wait for what never comes (RFC 9110, 8.6), or take it for a body.
            Kind::ContentLength => !matches!(self.status, 100..=199 | 204),
            Kind::TransferEncoding => self.framing == Framing::Chunked && coding == Coding::AsIs,
            // What to upgrade to is news in a 426, too.
            Kind::Upgrade => matches!(self.status, 101 | 426),
            Kind::Connection | Kind::Hop | Kind::Dropped => false,
        }
    }
}

/// `HTTP/1.1 200 phrase CRLF`, exactly.
fn is_canonical(lines: &Lines<'_>, phrase: &[u8]) -> bool {
    const BEFORE_PHRASE: usize = "HTTP/1.1 200 ".len();
    let first = lines.first();
    first.len() == BEFORE_PHRASE + phrase.len() + 2
        && first.starts_with(b"HTTP/1.1 ")
        && first[BEFORE_PHRASE - 1] == b' '
        // Bytes that httparse does not show are not passed on either.
        && !phrase.is_empty()
}
