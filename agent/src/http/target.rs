//! What a request asks for: the forms of its request-target, and the host it means. Pure.
//!
//! Here alone, "target" is the word of RFC 9112; everywhere else it is a member of a target group.
//! Source: RFC 9112, 3.2; RFC 9110, 4.2 and 7.2; application load balancer, 4.3.

use std::net::SocketAddr;

use crate::digits::write_number;

use super::failure::{Failure, Reason};
use super::request::Version;

/// The target of a request, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Target<'a> {
    /// Host with its port as the client means it; empty = an HTTP/1.0 client that names none.
    pub authority: &'a [u8],
    /// Host without its port; brackets stay.
    pub host: &'a [u8],
    /// Its port.
    pub port: Option<u16>,
    /// Without query; begins with `/`, or is `*`.
    pub path: &'a [u8],
    /// What follows the first `?`, up to a `#`.
    pub query: Option<&'a [u8]>,
    /// What the target is asked for: path, query, and whatever else was there.
    pub origin_form: &'a [u8],
    /// The request line goes on as it is.
    pub is_origin_form: bool,
}

impl<'a> Target<'a> {
    /// Takes the target and the Host apart, or says why they are no good.
    pub fn parse(
        method: &[u8],
        uri: &'a [u8],
        host: Option<&'a [u8]>,
        version: Version,
    ) -> Result<Self, Failure> {
        let (authority, origin_form) = match uri {
            [b'/', ..] => (None, uri),
            b"*" if method == b"OPTIONS" => (None, uri),
            _ => absolute_form(method, uri).ok_or(Failure::Malformed(Reason::Uri))?,
        };
        // An absolute URI overrides Host, which must be there and be one all the same.
        let named = check_host(host, version)?;
        let (authority, (host, port)) = match authority {
            Some(authority) => {
                // A URI without a host is none (RFC 9110, 4.2.1), even with a port.
                let parts = split_authority(authority).filter(|(host, _)| !host.is_empty());
                (authority, parts.ok_or(Failure::Malformed(Reason::Host))?)
            }
            None => named,
        };
        let (path, query) = split_path(origin_form);
        let is_origin_form = origin_form.len() == uri.len();
        Ok(Self {
            authority,
            host,
            port,
            path,
            query,
            origin_form,
            is_origin_form,
        })
    }

    /// What the target sees as Host, if not told to preserve it: in lower case, with the listener's port unless that
    /// is 80 or 443.
    pub fn write_host(&self, out: &mut Vec<u8>, local: SocketAddr, listener_port: u16) {
        if self.host.is_empty() {
            write_ip(out, local);
        } else {
            out.extend(self.host.iter().map(u8::to_ascii_lowercase));
        }
        let port = match (listener_port, self.port) {
            (80 | 443, _) => return,
            (_, Some(port)) => port,
            (_, None) => listener_port,
        };
        out.push(b':');
        write_number(out, port.into());
    }

    /// [`Self::write_host`] would write exactly what the client sent.
    pub fn host_stays(&self, listener_port: u16) -> bool {
        let port_stays = match listener_port {
            80 | 443 => self.authority.len() == self.host.len(),
            _ => self.port.is_some() && self.authority.len() > self.host.len() + 1,
        };
        port_stays
            && !self.host.is_empty()
            && !self.authority.iter().any(u8::is_ascii_uppercase)
            && !self.authority[self.host.len()..].starts_with(b":0")
    }
}

/// A host with its port, and both apart.
type Authority<'a> = (&'a [u8], (&'a [u8], Option<u16>));

fn check_host(host: Option<&[u8]>, version: Version) -> Result<Authority<'_>, Failure> {
    match (host, version) {
        (None, Version::Http10) => Ok((b"", (b"", None))),
        (Some(authority), _) => match split_authority(authority) {
            Some(parts) if !parts.0.is_empty() => Ok((authority, parts)),
            _ => Err(Failure::Malformed(Reason::Host)),
        },
        (None, Version::Http11) => Err(Failure::Malformed(Reason::Host)),
    }
}

/// `http://authority/path?query` -> authority, and path with query.
fn absolute_form<'a>(method: &[u8], uri: &'a [u8]) -> Option<(Option<&'a [u8]>, &'a [u8])> {
    let scheme_end = memchr::memmem::find(uri, b"://")?;
    let scheme = &uri[..scheme_end];
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = &uri[scheme_end + 3..];
    let end = rest
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    let origin_form = match origin {
        [b'/', ..] => origin,
        // Nothing follows the authority (RFC 9112, 3.2.4 for OPTIONS).
        [] if method == b"OPTIONS" => b"*",
        [] => b"/",
        // A query without a path would need a byte that is not there.
        _ => return None,
    };
    (!authority.is_empty()).then_some((Some(authority), origin_form))
}

/// Host and port; None = it is none.
fn split_authority(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let host_end = match authority {
        [b'[', ..] => {
            let end = memchr::memchr(b']', authority)? + 1;
            let inside = &authority[1..end - 1];
            let is_address = inside
                .iter()
                .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte));
            (is_address && inside.contains(&b':')).then_some(end)?
        }
        _ => memchr::memchr(b':', authority).unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    if host.first() != Some(&b'[') && !host.iter().all(|byte| is_host_byte(*byte)) {
        return None;
    }
    match port {
        [] | [b':'] => Some((host, None)),
        [b':', digits @ ..] if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) => {
            let port = digits
                .iter()
                .fold(0_u32, |port, digit| port * 10 + u32::from(digit - b'0'));
            Some((host, Some(u16::try_from(port).ok()?)))
        }
        _ => None,
    }
}

fn is_host_byte(byte: u8) -> bool {
    HOST_BYTES[usize::from(byte)]
}

/// Those of a registered name (RFC 3986, 3.2.2) but `,`, which some take for the end of a host.
const HOST_BYTES: [bool; 256] = {
    let punctuation = b"-._~%!$&'()*+;=";
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < bytes.len() {
        bytes[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < punctuation.len() {
        bytes[punctuation[at] as usize] = true;
        at += 1;
    }
    bytes
};

fn split_path(origin_form: &[u8]) -> (&[u8], Option<&[u8]>) {
    let without_fragment = match memchr::memchr(b'#', origin_form) {
        Some(at) => &origin_form[..at],
        None => origin_form,
    };
    match memchr::memchr(b'?', without_fragment) {
        Some(at) => (&without_fragment[..at], Some(&without_fragment[at + 1..])),
        None => (without_fragment, None),
    }
}

fn write_ip(out: &mut Vec<u8>, address: SocketAddr) {
    use std::io::Write as _;
    let written = match address {
        SocketAddr::V4(address) => write!(out, "{}", address.ip()),
        SocketAddr::V6(address) => write!(out, "[{}]", address.ip()),
    };
    // Writing to memory cannot fail.
    debug_assert!(written.is_ok());
}
