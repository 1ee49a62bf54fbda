//! What the heads of requests and responses have in common: lines, names that matter to us, framing.
//!
//! A head is looked at once, line by line, and rewritten by spans: runs of lines that stay are copied as one. A line
//! that is not exactly `Name: value CRLF` is written anew, so what goes on is canonical whatever came in.
//! Source: RFC 9112, 2-6; application load balancer, 4.

use httparse::Header;

/// Header lines of one head; one more is refused.
pub const HEADERS_MAX: usize = 128;

/// A header line, name and line end included.
pub const HEADER_LINE_BYTES_MAX: usize = 16 * 1024;

/// What a header means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: it goes on as it is.
    Plain,
    /// `Host`.
    Host,
    /// `Connection`.
    Connection,
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `Upgrade`.
    Upgrade,
    /// `Expect`.
    Expect,
    /// `X-Forwarded-For`.
    ForwardedFor,
    /// `X-Amzn-Trace-Id`.
    TraceId,
    /// `X-Forwarded-Proto` and `-Port`, which we say ourselves.
    Own,
    /// Speaks of one connection only.
    Hop,
    /// Named by Connection, or invalid and to be taken out.
    Dropped,
}

/// By name. Cost: one comparison of a name with the length of one of ours.
pub fn kind_of(name: &[u8]) -> Kind {
    let is = |other: &[u8], kind| name.eq_ignore_ascii_case(other).then_some(kind);
    let found = match name.len() {
        2 => is(b"te", Kind::Hop),
        4 => is(b"host", Kind::Host),
        6 => is(b"expect", Kind::Expect),
        7 => is(b"upgrade", Kind::Upgrade),
        10 => is(b"connection", Kind::Connection).or_else(|| is(b"keep-alive", Kind::Hop)),
        14 => {
            is(b"content-length", Kind::ContentLength).or_else(|| is(b"http2-settings", Kind::Hop))
        }
        15 => is(b"x-forwarded-for", Kind::ForwardedFor)
            .or_else(|| is(b"x-amzn-trace-id", Kind::TraceId)),
        16 => is(b"x-forwarded-port", Kind::Own).or_else(|| is(b"proxy-connection", Kind::Hop)),
        17 => is(b"transfer-encoding", Kind::TransferEncoding)
            .or_else(|| is(b"x-forwarded-proto", Kind::Own)),
        _ => None,
    };
    found.unwrap_or(Kind::Plain)
}

/// Whether a name is `[-A-Za-z0-9]+` (application load balancer, 4.2).
pub fn is_valid_name(name: &[u8]) -> bool {
    name.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// What an invalid name would be for a backend that takes `_` or `.` for `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disguise {
    /// Nothing that matters.
    None,
    /// A header that we set ourselves and targets believe.
    Own,
    /// A framing header.
    Framing,
}

/// Looks behind the punctuation of an invalid name.
pub fn disguise_of(name: &[u8]) -> Disguise {
    const LONGEST: usize = 16;
    let mut letters = [0; LONGEST];
    let mut length = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        if length == LONGEST {
            return Disguise::None;
        }
        letters[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    match &letters[..length] {
        b"contentlength" | b"transferencoding" => Disguise::Framing,
        b"xforwardedfor" | b"xforwardedproto" | b"xforwardedport" | b"xamzntraceid" => {
            Disguise::Own
        }
        _ => Disguise::None,
    }
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk and its trailers.
    Chunked,
    /// With the connection (responses only).
    UntilClose,
}

/// A Content-Length: digits, nothing else. None = anything else, or more than 64 bits.
pub fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0_u64, |length, digit| {
        length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// The elements of a comma-separated value, trimmed; empty ones are passed over.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// What Connection headers say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// `close`.
    pub close: bool,
    /// `keep-alive`.
    pub keep_alive: bool,
    /// `upgrade`.
    pub upgrade: bool,
    /// Other headers are named, which end here too.
    pub names_others: bool,
}

impl ConnectionOptions {
    /// One more Connection header.
    pub fn add(&mut self, value: &[u8]) {
        for option in elements(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.names_others = true;
            }
        }
    }
}

/// The lines of a parsed head.
///
/// Shape: `raw` reaches from the first byte of the first line to the end of the empty line; `headers` lie in it, in
/// their order.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    /// The whole head.
    pub raw: &'a [u8],
    /// Names and trimmed values.
    pub headers: &'a [Header<'a>],
}

impl<'a> Lines<'a> {
    /// Where a header's line begins.
    pub fn start(&self, index: usize) -> usize {
        match self.headers.get(index) {
            // Both point into one slice, so the difference is an offset.
            Some(header) => header.name.as_ptr().addr() - self.raw.as_ptr().addr(),
            None => self.raw.len() - 2,
        }
    }

    /// A header's line, line end included.
    pub fn line(&self, index: usize) -> &'a [u8] {
        &self.raw[self.start(index)..self.start(index + 1)]
    }

    /// The first line with its end.
    pub fn first(&self) -> &'a [u8] {
        &self.raw[..self.start(0)]
    }

    /// Whether a line is exactly `Name: value CRLF`.
    pub fn is_canonical(&self, index: usize) -> bool {
        let (line, header) = (self.line(index), &self.headers[index]);
        line.len() == header.name.len() + header.value.len() + 4
            && line[header.name.len()..].starts_with(b": ")
    }

    /// Whether every line ends with CRLF, the empty one too.
    pub fn end_with_crlf(&self) -> bool {
        self.raw.ends_with(b"\r\n")
            && (0..=self.headers.len()).all(|index| {
                let end = self.start(index);
                end >= 2 && &self.raw[end - 2..end] == b"\r\n"
            })
    }

    /// The value of the first header of this name, given in lower case.
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        let header = self
            .headers
            .iter()
            .find(|header| header.name.as_bytes().eq_ignore_ascii_case(name))?;
        Some(header.value)
    }

    /// Marks the headers that Connection names as dropped. Those that we understand are not touched by it: nobody
    /// makes us forget a Host or a Content-Length.
    pub fn drop_named(&self, kinds: &mut [Kind]) {
        for index in 0..self.headers.len() {
            if kinds[index] != Kind::Connection {
                continue;
            }
            for option in elements(self.headers[index].value) {
                for (kind, header) in kinds.iter_mut().zip(self.headers) {
                    if *kind == Kind::Plain && header.name.as_bytes().eq_ignore_ascii_case(option) {
                        *kind = Kind::Dropped;
                    }
                }
            }
        }
    }
}

/// Copies what stays of a head, run by run.
#[derive(Debug)]
pub struct Rewrite<'a, 'o> {
    raw: &'a [u8],
    kept_from: usize,
    /// Where it goes; what is added is written here after [`Rewrite::flush`].
    pub out: &'o mut Vec<u8>,
}

impl<'a, 'o> Rewrite<'a, 'o> {
    /// Nothing is copied yet.
    pub fn new(raw: &'a [u8], out: &'o mut Vec<u8>) -> Self {
        Self {
            raw,
            kept_from: 0,
            out,
        }
    }

    /// Leaves out a part; what lies before it is copied.
    pub fn skip(&mut self, start: usize, end: usize) {
        self.flush(start);
        self.kept_from = end;
    }

    /// Copies everything up to `end` that was not left out.
    pub fn flush(&mut self, end: usize) {
        if self.kept_from < end {
            self.out.extend_from_slice(&self.raw[self.kept_from..end]);
            self.kept_from = end;
        }
    }

    /// Keeps a header's line, written anew if it is not canonical.
    pub fn keep(&mut self, lines: &Lines<'_>, index: usize) {
        if !lines.is_canonical(index) {
            let header = &lines.headers[index];
            self.skip(lines.start(index), lines.start(index + 1));
            write_header(self.out, header.name.as_bytes(), header.value);
        }
    }
}

/// `Name: value CRLF`.
pub fn write_header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for piece in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_without_regard_to_case() {
        let cases = [
            ("Host", Kind::Host),
            ("CONTENT-LENGTH", Kind::ContentLength),
            ("content_length", Kind::Plain),
            ("Te", Kind::Hop),
            ("X-Forwarded-For", Kind::ForwardedFor),
            ("X-Forwarded-Proto", Kind::Own),
            ("Accept", Kind::Plain),
            ("", Kind::Plain),
        ];
        for (name, kind) in cases {
            assert_eq!(kind_of(name.as_bytes()), kind, "{name}");
        }
    }

    #[test]
    fn punctuation_hides_nothing() {
        let cases = [
            ("Content_Length", Disguise::Framing),
            ("transfer.encoding", Disguise::Framing),
            ("_Transfer-Encoding", Disguise::Framing),
            ("X_Forwarded_For", Disguise::Own),
            ("my_header", Disguise::None),
            ("a_very_long_name_that_is_none_of_ours", Disguise::None),
        ];
        for (name, disguise) in cases {
            assert_eq!(disguise_of(name.as_bytes()), disguise, "{name}");
        }
    }

    #[test]
    fn a_length_is_digits_that_fit() {
        let cases: [(&[u8], Option<u64>); 9] = [
            (b"0", Some(0)),
            (b"007", Some(7)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"", None),
            (b"+1", None),
            (b"-1", None),
            (b"1, 1", None),
            (b"0x1", None),
        ];
        for (value, length) in cases {
            assert_eq!(parse_length(value), length, "{value:?}");
        }
    }
}
