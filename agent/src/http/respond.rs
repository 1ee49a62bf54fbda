//! Failure -> response: the one place that knows which status, reason and words a failure gets, and how the answers
//! that we make ourselves are written.
//!
//! Source: application load balancer, 4.7 (last item), 7.3, 12.

use crate::digits::write_number;
use crate::edge::clock::Wall;
use crate::table::FixedResponse;

use super::failure::{Failure, Reason};
use super::head::write_header;

/// What our answers call their server.
const SERVER: &[u8] = b"inlet";

/// What an answer says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It goes on, as the client expects.
    Default,
    /// It goes on, which an HTTP/1.0 client must be told.
    KeepAlive,
    /// It is closed after this.
    Close,
}

/// An answer of our own.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Empty = none.
    pub content_type: &'a [u8],
    /// Of a redirect.
    pub location: Option<&'a [u8]>,
    /// Left out if the request is HEAD, or the status has none.
    pub body: &'a [u8],
}

impl Failure {
    /// The status that is sent, or only logged (460: the client is gone).
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) | Self::HeadTooLarge | Self::RequestCutShort => 400,
            Self::Method => 405,
            Self::RequestTimeout => 408,
            Self::UriTooLong => 414,
            Self::ClientGone | Self::ClientStalled => 460,
            Self::ForwardedFor => 463,
            Self::NoSocket => 500,
            Self::TransferCoding => 501,
            Self::Refused
            | Self::SpokeFirst
            | Self::TargetClosed
            | Self::ResponseMalformed
            | Self::ResponseHeadTooLarge
            | Self::TargetCut => 502,
            Self::NoTarget => 503,
            Self::ConnectTimeout | Self::ResponseTimeout => 504,
            Self::Version => 505,
            Self::RedirectTooLong => 507,
        }
    }

    /// What the access log says of it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed(reason) => reason.words(),
            Self::Method => "MethodNotAllowed",
            Self::UriTooLong => "UriTooLong",
            Self::HeadTooLarge => "HeadersTooLarge",
            Self::Version => "NonCompliantVersion",
            Self::TransferCoding => "UnsupportedTransferEncoding",
            Self::ForwardedFor => "TooManyForwardedAddresses",
            Self::RequestTimeout => "ClientTimeout",
            Self::RequestCutShort => "ClientClosedBeforeRequestEnd",
            Self::ClientGone => "ClientClosed",
            Self::ClientStalled => "ClientStalled",
            Self::NoTarget => "NoTarget",
            Self::RedirectTooLong => "RedirectUrlTooLong",
            Self::NoSocket => "NoSocketLeft",
            Self::Refused => "TargetConnectionRefused",
            Self::ConnectTimeout => "TargetConnectionTimeout",
            Self::SpokeFirst => "TargetSpokeFirst",
            Self::TargetClosed => "TargetClosed",
            Self::ResponseTimeout => "TargetTimeout",
            Self::ResponseMalformed => "TargetInvalidResponse",
            Self::ResponseHeadTooLarge => "TargetResponseHeadersTooLarge",
            Self::TargetCut => "TargetDeregistered",
        }
    }
}

impl Reason {
    fn words(self) -> &'static str {
        match self {
            Self::Method => "BadMethod",
            Self::Uri => "BadUri",
            Self::Version => "BadVersion",
            Self::Header => "BadHeader",
            Self::SuspiciousHeader => "SuspiciousHeader",
            Self::Host => "BadHost",
            Self::BothTeClPresent => "BothTeClPresent",
            Self::BadContentLength => "BadContentLength",
            Self::MultipleContentLength => "MultipleContentLength",
            Self::BadTransferEncoding => "BadTransferEncoding",
            Self::MultipleTransferEncodingChunked => "MultipleTransferEncodingChunked",
            Self::UndefinedTransferEncodingSemantics => "UndefinedTransferEncodingSemantics",
            Self::Chunk => "BadChunk",
        }
    }
}

impl<'a> Answer<'a> {
    /// The page for a status that speaks for itself; `page` is where it is written.
    pub fn page(status: u16, page: &'a mut Vec<u8>) -> Self {
        page.clear();
        let words: [&[u8]; 5] = [
            b"<html>\r\n<head><title>",
            b"</title></head>\r\n<body>\r\n<center><h1>",
            b"</h1></center>\r\n</body>\r\n</html>\r\n",
            b" ",
            phrase(status).as_bytes(),
        ];
        for part in &words[..2] {
            page.extend_from_slice(part);
            write_number(page, status.into());
            page.extend_from_slice(words[3]);
            page.extend_from_slice(words[4]);
        }
        page.extend_from_slice(words[2]);
        Self {
            status,
            content_type: b"text/html",
            location: None,
            body: page,
        }
    }

    /// As configured.
    pub fn fixed(response: &'a FixedResponse) -> Self {
        Self {
            status: response.status,
            content_type: response.content_type.as_bytes(),
            location: None,
            body: response.body.as_bytes(),
        }
    }

    /// Head and body.
    pub fn write(&self, out: &mut Vec<u8>, wall: &Wall, persistence: Persistence, head_only: bool) {
        write_status_line(out, self.status, phrase(self.status).as_bytes());
        write_header(out, b"Server", SERVER);
        write_header(out, b"Date", &wall.date);
        if let Some(location) = self.location {
            write_header(out, b"Location", location);
        }
        let has_body = has_body(self.status);
        if has_body {
            if !self.content_type.is_empty() {
                write_header(out, b"Content-Type", self.content_type);
            }
            out.extend_from_slice(b"Content-Length: ");
            write_number(out, self.body.len() as u64);
            out.extend_from_slice(b"\r\n");
        }
        write_persistence(out, persistence);
        out.extend_from_slice(b"\r\n");
        if has_body && !head_only {
            out.extend_from_slice(self.body);
        }
    }
}

/// Whether responses of this status can have a body (RFC 9112, 6.3).
pub fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// `HTTP/1.1 200 OK CRLF`.
pub fn write_status_line(out: &mut Vec<u8>, status: u16, phrase: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    write_number(out, status.into());
    out.push(b' ');
    out.extend_from_slice(phrase);
    out.extend_from_slice(b"\r\n");
}

/// The Connection header that goes with it.
pub fn write_persistence(out: &mut Vec<u8>, persistence: Persistence) {
    match persistence {
        Persistence::Default => {}
        Persistence::KeepAlive => write_header(out, b"Connection", b"keep-alive"),
        Persistence::Close => write_header(out, b"Connection", b"close"),
    }
}

/// The words beside a status that we make, or that has none.
pub fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        418 => "I'm a teapot",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => match status / 100 {
            2 => "Success",
            3 => "Redirection",
            4 => "Client Error",
            5 => "Server Error",
            _ => "Status",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall() -> Wall {
        Wall {
            date: *b"Sun, 06 Nov 1994 08:49:37 GMT",
            unix_seconds: 784_111_777,
        }
    }

    fn written(answer: &Answer<'_>, persistence: Persistence, head_only: bool) -> String {
        let mut out = Vec::new();
        answer.write(&mut out, &wall(), persistence, head_only);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_page_names_its_status() {
        let mut page = Vec::new();
        let answer = Answer::page(502, &mut page);
        let expected = "HTTP/1.1 502 Bad Gateway\r\nServer: inlet\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
            Content-Type: text/html\r\nContent-Length: 122\r\nConnection: close\r\n\r\n\
            <html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
            <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
        assert_eq!(written(&answer, Persistence::Close, false), expected);
    }

    #[test]
    fn head_and_no_content_have_no_body() {
        let fixed = |status| FixedResponse {
            status,
            content_type: "text/plain".into(),
            body: "hello".into(),
        };
        let ok = fixed(200);
        let head = written(&Answer::fixed(&ok), Persistence::KeepAlive, true);
        assert!(
            head.ends_with("Content-Length: 5\r\nConnection: keep-alive\r\n\r\n"),
            "{head}"
        );
        let no_content = fixed(204);
        let head = written(&Answer::fixed(&no_content), Persistence::Default, false);
        assert!(
            !head.contains("Content-") && head.ends_with("GMT\r\n\r\n"),
            "{head}"
        );
    }
}
