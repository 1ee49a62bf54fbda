//! Pages of long answers: sizes within bounds, and tokens that say where to go on.
//!
//! A token is opaque to clients. It holds a check over the request it belongs to, so one that is made up, or used
//! with another request, is refused instead of giving a wrong page.

use std::fmt::Write as _;

use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::api::status::Problem;

/// Elements of a page at most.
pub(crate) const MAX_PAGE_SIZE: u32 = 1000;
/// A page ends before it grows beyond this, unless one element alone does: gRPC clients take 4 MiB by default.
const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;
/// Bytes of the check in a token.
const CHECK_BYTES: usize = 8;

/// The size that is meant: 0 = `default`. Errors: above [`MAX_PAGE_SIZE`].
pub(crate) fn size(asked: u32, default: u32) -> Result<usize, Problem> {
    match asked {
        0 => Ok(default as usize),
        1..=MAX_PAGE_SIZE => Ok(asked as usize),
        _ => Err(Problem::Argument {
            field: "pageSize",
            message: format!("must be 1 to {MAX_PAGE_SIZE}"),
        }),
    }
}

/// A page under construction, bounded in elements and bytes.
pub(crate) struct Page<T> {
    /// What is on it.
    pub(crate) elements: Vec<T>,
    size: usize,
    bytes: usize,
}

impl<T: Message> Page<T> {
    /// An empty page for `size` elements.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            elements: Vec::new(),
            size,
            bytes: 0,
        }
    }

    /// Adds an element, or gives it back because the page is full. The first one always fits.
    pub(crate) fn push(&mut self, element: T) -> Result<(), T> {
        let bytes = element.encoded_len();
        let is_full = self.elements.len() >= self.size || self.bytes + bytes > MAX_PAGE_BYTES;
        if is_full && !self.elements.is_empty() {
            return Err(element);
        }
        self.bytes += bytes;
        self.elements.push(element);
        Ok(())
    }
}

/// A token for going on after `position` with the same request.
pub(crate) fn seal(request: &[&str], position: &str) -> String {
    let mut token = String::new();
    for byte in check(request, position).iter().chain(position.as_bytes()) {
        write!(token, "{byte:02x}").expect("writing to a String cannot fail");
    }
    token
}

/// The position in a token. Errors: it was not made for this request.
pub(crate) fn open(request: &[&str], token: &str) -> Result<String, Problem> {
    let position = decode(token).and_then(|bytes| {
        let (sum, position) = bytes.split_at_checked(CHECK_BYTES)?;
        let position = str::from_utf8(position).ok()?;
        (sum == check(request, position)).then(|| position.to_owned())
    });
    position.ok_or_else(|| Problem::Argument {
        field: "pageToken",
        message: "is not the token of an answer to this request: begin without one".to_owned(),
    })
}

fn check(request: &[&str], position: &str) -> [u8; CHECK_BYTES] {
    let mut hash = Sha256::new();
    for text in request.iter().chain(&[position]) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let mut first = [0; CHECK_BYTES];
    first.copy_from_slice(&hash.finalize()[..CHECK_BYTES]);
    first
}

fn decode(token: &str) -> Option<Vec<u8>> {
    if !token.len().is_multiple_of(2) || !token.is_ascii() {
        return None;
    }
    (0..token.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&token[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_hold_for_their_request_only() {
        let request = ["Rule", "shop/https", ""];
        let token = seal(&request, "Rule/shop/https/catalog");
        assert_eq!(open(&request, &token).unwrap(), "Rule/shop/https/catalog");
        assert!(open(&["Rule", "shop/http", ""], &token).is_err());
        assert!(open(&["Rule", "shop/https", "x"], &token).is_err());
        for bad in [
            "",
            "x",
            "zz",
            "00",
            "é0",
            &token[2..],
            &format!("{token}00"),
        ] {
            assert!(open(&request, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_are_bounded_in_elements_and_bytes() {
        assert_eq!(size(0, 50).unwrap(), 50);
        assert_eq!(size(1000, 50).unwrap(), 1000);
        assert!(size(1001, 50).is_err());
        let mut page = Page::new(2);
        assert!(page.push("x".repeat(MAX_PAGE_BYTES)).is_ok());
        assert!(page.push("x".to_owned()).is_err());
        let mut page = Page::new(2);
        for expected in [true, true, false] {
            assert_eq!(page.push("x".to_owned()).is_ok(), expected);
        }
    }
}
