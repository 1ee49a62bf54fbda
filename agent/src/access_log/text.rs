//! Numbers, times, addresses and foreign text, written into a buffer without the machinery of `format!`: this is on
//! the path of every request.
//!
//! What clients send never ends a line, a quoted field or a JSON string, whatever bytes it has.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;

use crate::digits::{PAIRS, write_ipv4, write_number};

/// Longest field that is taken from a client, in bytes; the rest is left out.
pub(super) const FIELD_BYTES: usize = 16 * 1024;
/// Longest User-Agent (application load balancer, 13.1).
pub(super) const USER_AGENT_BYTES: usize = 8 * 1024;

/// Length of `2018-07-02T22:23:00`.
const SECOND_BYTES: usize = 19;
const EPOCH: [u8; SECOND_BYTES] = *b"1970-01-01T00:00:00";
const MICROSECONDS: i64 = 1_000_000;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A time of day in words, made once a second: most lines of a second share it.
#[derive(Debug)]
pub(super) struct Stamp {
    second: i64,
    text: [u8; SECOND_BYTES],
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            second: 0,
            text: EPOCH,
        }
    }
}

impl Stamp {
    /// `2018-07-02T22:23:00.186641Z` from microseconds since 1970.
    pub(super) fn microseconds(&mut self, out: &mut Vec<u8>, at_us: i64) {
        self.seconds(out, at_us);
        out.push(b'.');
        let rest = at_us.rem_euclid(MICROSECONDS) as usize;
        out.extend_from_slice(&PAIRS[rest / 10_000]);
        out.extend_from_slice(&PAIRS[rest / 100 % 100]);
        out.extend_from_slice(&PAIRS[rest % 100]);
        out.push(b'Z');
    }

    /// `2018-07-02T22:23:00` from microseconds since 1970.
    pub(super) fn seconds(&mut self, out: &mut Vec<u8>, at_us: i64) {
        let second = at_us.div_euclid(MICROSECONDS);
        if second != self.second {
            // A time that no calendar has is shown as the epoch's.
            let at = Timestamp::from_second(second).unwrap_or_default();
            let text = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            self.text = text.as_bytes().try_into().unwrap_or(EPOCH);
            self.second = second;
        }
        out.extend_from_slice(&self.text);
    }
}

/// Seconds with three digits, as `0.004`; -1 if there are none.
pub(super) fn seconds(out: &mut Vec<u8>, us: Option<u64>) {
    let Some(us) = us else {
        return out.extend_from_slice(b"-1");
    };
    let milliseconds = us / 1000;
    write_number(out, milliseconds / 1000);
    let rest = (milliseconds % 1000) as usize;
    out.push(b'.');
    out.push(b'0' + (rest / 100) as u8);
    out.extend_from_slice(&PAIRS[rest % 100]);
}

/// `10.0.0.1:80`, `[fd00::1]:80`.
pub(super) fn address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            write_ipv4(out, v4.ip().octets());
            out.push(b':');
            write_number(out, v4.port().into());
        }
        // Writing to a vector cannot fail.
        SocketAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// `10.0.0.1`, `fd00::1`.
pub(super) fn ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => write_ipv4(out, v4.octets()),
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// What of `text` is written.
pub(super) fn shorten(text: &[u8], most_bytes: usize) -> &[u8] {
    &text[..text.len().min(most_bytes)]
}

/// The inside of a JSON string. Bytes that are no UTF-8 become U+FFFD.
pub(super) fn json(out: &mut Vec<u8>, text: &[u8]) {
    if is_plain(text) {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            json_byte(out, byte);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

fn json_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        0..0x20 | 0x7f => {
            out.extend_from_slice(b"\\u00");
            hex(out, byte);
        }
        _ => out.push(byte),
    }
}

/// The inside of a quoted field of the ALB form: quotes, backslashes and all that is not printable ASCII as `\x22`,
/// so that a field ends at the next quote and a line at the next line feed.
pub(super) fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    if is_plain(text) {
        return out.extend_from_slice(text);
    }
    for byte in text {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => {
                out.extend_from_slice(b"\\x");
                hex(out, *byte);
            }
            byte => out.push(*byte),
        }
    }
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

/// Printable ASCII without quotes and backslashes. No early exit, so that it is done many bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\');
    text.iter().fold(true, |all, byte| all & plain(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn seconds_have_three_digits() {
        let cases = [
            (None, "-1"),
            (Some(0), "0.000"),
            (Some(999), "0.000"),
            (Some(1_000), "0.001"),
            (Some(86_049_999), "86.049"),
        ];
        for (us, expected) in cases {
            assert_eq!(written(|out| seconds(out, us)), expected);
        }
    }

    #[test]
    fn times_are_right_within_a_second_and_after_it() {
        let mut stamp = Stamp::default();
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_530_570_180_186_641, "2018-07-02T22:23:00.186641Z"),
            (1_530_570_180_000_009, "2018-07-02T22:23:00.000009Z"),
            (1_530_570_181_000_000, "2018-07-02T22:23:01.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (i64::MAX, "1970-01-01T00:00:00.775807Z"),
        ];
        for (us, expected) in cases {
            assert_eq!(written(|out| stamp.microseconds(out, us)), expected);
        }
        assert_eq!(
            written(|out| stamp.seconds(out, 1_530_570_180_999_999)),
            "2018-07-02T22:23:00"
        );
    }

    #[test]
    fn addresses_are_as_the_library_writes_them() {
        for case in [
            "0.0.0.0:0",
            "127.0.0.1:8080",
            "255.255.255.255:65535",
            "[::1]:80",
            "[fd00::1:2]:443",
        ] {
            let parsed: SocketAddr = case.parse().unwrap();
            assert_eq!(written(|out| address(out, parsed)), case);
            assert_eq!(written(|out| ip(out, parsed.ip())), parsed.ip().to_string());
        }
    }

    #[test]
    fn foreign_text_stays_within_its_field() {
        let cases: [(&[u8], &str, &str); 8] = [
            (b"", "", ""),
            (b"curl/8.1 (x)", "curl/8.1 (x)", "curl/8.1 (x)"),
            (b"a\"b", "a\\\"b", "a\\x22b"),
            (b"a\\b", "a\\\\b", "a\\x5Cb"),
            (b"a\nb\t\0", "a\\u000Ab\\u0009\\u0000", "a\\x0Ab\\x09\\x00"),
            (b"\x7f", "\\u007F", "\\x7F"),
            ("é".as_bytes(), "é", "\\xC3\\xA9"),
            (b"a\xffb\xc3", "a\u{FFFD}b\u{FFFD}", "a\\xFFb\\xC3"),
        ];
        for (text, in_json, in_quotes) in cases {
            assert_eq!(written(|out| json(out, text)), in_json);
            assert_eq!(written(|out| quoted(out, text)), in_quotes);
        }
    }

    #[test]
    fn any_bytes_become_one_json_string_and_one_quoted_field() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..2000 {
            let text: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
            let string = format!("\"{}\"", written(|out| json(out, &text)));
            let read: String = serde_json::from_str(&string).unwrap();
            assert_eq!(read, String::from_utf8_lossy(&text));
            let field = written(|out| quoted(out, &text));
            assert!(
                field
                    .bytes()
                    .all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"')
            );
        }
    }
}
