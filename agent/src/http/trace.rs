//! X-Amzn-Trace-Id: `Field=1-TTTTTTTT-IIIIIIIIIIIIIIIIIIIIIIII`, fields separated by `;`. Pure.
//!
//! Source: application load balancer, 4.5.

use crate::digits::{write_hex8, write_hex16};

/// Request headers longer than this have their trace header replaced.
const REQUEST_HEADERS_BYTES_MAX: usize = 7 * 1024;

/// What a new id is made of.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// Seconds since 1970.
    pub unix_seconds: i64,
    /// Random.
    pub random: [u64; 2],
}

/// Writes the value for the target.
///
/// `incoming`: the client's value, if it sent one. `headers_bytes`: length of all its headers.
pub fn write(out: &mut Vec<u8>, incoming: Option<&[u8]>, headers_bytes: usize, seed: Seed) {
    if incoming.is_none() {
        out.extend_from_slice(b"Root=");
        return write_id(out, seed);
    }
    let kept = incoming
        .filter(|_| headers_bytes <= REQUEST_HEADERS_BYTES_MAX)
        .unwrap_or_default();
    let has_root = fields(kept).any(|field| has_name(field, b"Root"));
    out.extend_from_slice(if has_root { b"Self=" } else { b"Root=" });
    write_id(out, seed);
    for field in fields(kept).filter(|field| !has_name(field, b"Self")) {
        out.push(b';');
        out.extend_from_slice(field);
    }
}

fn fields(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    // One that ends with its name is no field.
    parts.filter(|part| {
        part.iter()
            .position(|byte| *byte == b'=')
            .is_some_and(|at| at > 0)
    })
}

fn has_name(part: &[u8], name: &[u8]) -> bool {
    part.len() > name.len()
        && part[name.len()] == b'='
        && part[..name.len()].eq_ignore_ascii_case(name)
}

fn write_id(out: &mut Vec<u8>, seed: Seed) {
    out.extend_from_slice(b"1-");
    // The lower 32 bits, until 2106.
    write_hex8(out, low(seed.unix_seconds.cast_unsigned()));
    out.push(b'-');
    write_hex8(out, low(seed.random[0]));
    write_hex16(out, seed.random[1]);
}

fn low(number: u64) -> u32 {
    (number & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed {
        unix_seconds: 0x5759_e988,
        random: [0x0bd8_62e3, 0xfe1b_e46a_9942_7279],
    };
    const NEW: &str = "1-5759e988-0bd862e3fe1be46a99427279";

    #[test]
    fn the_trace_is_begun_or_carried_on() {
        let cases = [
            (None, 0, format!("Root={NEW}")),
            (Some("Root=1-a-b"), 100, format!("Self={NEW};Root=1-a-b")),
            (
                Some("Self=1-c-d;Root=1-a-b"),
                100,
                format!("Self={NEW};Root=1-a-b"),
            ),
            (
                Some("Root=1-a-b;CalledFrom=app"),
                100,
                format!("Self={NEW};Root=1-a-b;CalledFrom=app"),
            ),
            (
                Some("CalledFrom=app; Root=1-a-b;"),
                100,
                format!("Self={NEW};CalledFrom=app;Root=1-a-b"),
            ),
            (
                Some("CalledFrom=app"),
                100,
                format!("Root={NEW};CalledFrom=app"),
            ),
            (Some("Root"), 100, format!("Root={NEW}")),
            (Some(""), 100, format!("Root={NEW}")),
            (Some("Root=1-a-b"), 7 * 1024 + 1, format!("Root={NEW}")),
        ];
        for (incoming, headers_bytes, expected) in cases {
            let mut out = Vec::new();
            write(&mut out, incoming.map(str::as_bytes), headers_bytes, SEED);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{incoming:?}");
        }
    }
}
