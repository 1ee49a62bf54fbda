//! A request in the form in which rules compare it: computed once, for whatever number of rules.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::{Headers, Request, path};
use crate::table::router::is_visible;

/// Hosts up to this length are put into lower case without an allocation; names in DNS end at 253 (RFC 1035, 2.3.4).
const HOST: usize = 256;

/// Room for what must be compared in another form than it was sent in.
#[derive(Default)]
pub(super) struct Room {
    host: SmallVec<[u8; HOST]>,
    path: path::Room,
}

/// A request as rules see it.
pub(super) struct Subject<'a, H> {
    request: &'a Request<'a, H>,
    host: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    source: IpAddr,
}

impl<'a, H: Headers> Subject<'a, H> {
    pub(super) fn new(request: &'a Request<'a, H>, room: &'a mut Room) -> Self {
        let host = lower_case(request.host, &mut room.host);
        let path = path::normal(request.path, &mut room.path);
        Self {
            request,
            host: is_visible(host).then_some(host),
            path: is_visible(path).then_some(path),
            // A socket of the address `::` shows IPv4 clients as IPv6 addresses.
            source: request.source.to_canonical(),
        }
    }

    /// In lower case; None = it has control characters, so that no pattern matches.
    pub(super) fn host(&self) -> Option<&[u8]> {
        self.host
    }

    /// In normal form; None = it has control characters, so that no pattern matches.
    pub(super) fn path(&self) -> Option<&[u8]> {
        self.path
    }

    pub(super) fn method(&self) -> &[u8] {
        self.request.method
    }

    pub(super) fn source(&self) -> IpAddr {
        self.source
    }

    /// Whether one of the headers of this name (in lower case) is what we look for.
    pub(super) fn has_header(&self, name: &[u8], mut look: impl FnMut(&[u8]) -> bool) -> bool {
        self.request.headers.any(name, &mut look)
    }

    /// Names and values of the query, as sent. One without `=` has an empty value; empty ones are left out. The query
    /// ends at `#` (application load balancer, 7.2).
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let query = self.request.query.unwrap_or_default();
        let end = memchr::memchr(b'#', query).unwrap_or(query.len());
        let parameters = query[..end].split(|byte| *byte == b'&');
        parameters
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| match memchr::memchr(b'=', parameter) {
                Some(at) => (&parameter[..at], &parameter[at + 1..]),
                None => (parameter, &[][..]),
            })
    }
}

fn lower_case<'a>(text: &'a [u8], room: &'a mut SmallVec<[u8; HOST]>) -> &'a [u8] {
    if !text.iter().any(u8::is_ascii_uppercase) {
        return text;
    }
    room.extend_from_slice(text);
    room.make_ascii_lowercase();
    room
}
