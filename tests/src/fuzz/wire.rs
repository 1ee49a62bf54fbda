//! Changes a message in its encoded form, and keeps the form: a changed field has its length put right all the way up.
//!
//! Knows the wire format and no schema: whatever reads as fields is taken for a message and gone into.

use fastrand::Rng;

/// How deep messages are gone into.
const DEPTH_MAX: usize = 8;

/// A field: its tag (number and wire type), and its value.
#[derive(Debug, Clone)]
struct Field {
    tag: u64,
    value: Value,
}

#[derive(Debug, Clone)]
enum Value {
    Number(u64),
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
}

/// One change somewhere in an encoded message. What is none is left alone.
pub(super) fn mutate(random: &mut Rng, message: &mut Vec<u8>) {
    change(random, message, 0);
}

fn change(random: &mut Rng, message: &mut Vec<u8>, depth: usize) -> bool {
    let Some(mut fields) = parse(message) else {
        return false;
    };
    if fields.is_empty() {
        return false;
    }
    let (at, place) = (random.usize(..fields.len()), random.usize(..fields.len()));
    match random.u8(..16) {
        0 => drop(fields.remove(at)),
        1 => fields.insert(place, fields[at].clone()),
        2 => fields.swap(at, place),
        3 => fields[at].tag ^= 8 << random.u8(..3),
        _ => change_value(random, &mut fields[at].value, depth),
    }
    *message = encode(&fields);
    true
}

fn change_value(random: &mut Rng, value: &mut Value, depth: usize) {
    match value {
        Value::Number(number) => {
            let edges = [0, 1, 2, 80, 65_535, 65_536, u64::from(u32::MAX), u64::MAX];
            *number = match random.u8(..3) {
                0 => number.wrapping_add(1),
                1 => random.u64(..) >> random.u8(..64),
                _ => random.choice(edges).unwrap_or_default(),
            };
        }
        Value::Fixed(bytes) => bytes.iter_mut().for_each(|byte| *byte = random.u8(..)),
        Value::Bytes(bytes) => {
            if depth < DEPTH_MAX && random.u8(..8) > 0 && change(random, bytes, depth + 1) {
                return;
            }
            change_text(random, bytes);
        }
    }
}

fn change_text(random: &mut Rng, bytes: &mut Vec<u8>) {
    let at = random.usize(..=bytes.len());
    match random.u8(..4) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, random.u8(..0x80)),
        2 if at < bytes.len() => bytes[at] = random.u8(..0x80),
        _ => {
            let piece = bytes[at..].to_vec();
            bytes.extend(piece);
        }
    }
}

fn parse(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Number(number(&mut bytes)?),
            1 => Value::Fixed(bytes.split_off(..8)?.to_vec()),
            2 => {
                let length = usize::try_from(number(&mut bytes)?).ok()?;
                Value::Bytes(bytes.split_off(..length)?.to_vec())
            }
            5 => Value::Fixed(bytes.split_off(..4)?.to_vec()),
            _ => return None,
        };
        if tag < 8 {
            return None;
        }
        fields.push(Field { tag, value });
    }
    Some(fields)
}

fn encode(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        write_number(&mut out, field.tag);
        match &field.value {
            Value::Number(number) => write_number(&mut out, *number),
            Value::Fixed(bytes) => out.extend_from_slice(bytes),
            Value::Bytes(bytes) => {
                write_number(&mut out, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
        }
    }
    out
}

/// A base-128 number; None = it has no end, or more than 64 bits.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        // The lower seven bits, and a sign that more follow.
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use inlet_proto::v1;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_changed_message_is_still_one_and_differs() {
        let rule = v1::Rule {
            name: "r".repeat(200),
            listener: "shop/http".to_owned(),
            priority: 300,
            ..Default::default()
        };
        let original = v1::Resource::from(rule).encode_to_vec();
        let (mut random, mut different) = (Rng::with_seed(1), 0);
        for _ in 0..1000 {
            let mut message = original.clone();
            mutate(&mut random, &mut message);
            assert!(parse(&message).is_some(), "{message:?}");
            different += usize::from(message != original);
        }
        assert!(different > 700, "{different}");
    }

    #[test]
    fn what_is_no_message_is_left_alone() {
        for bytes in [&b"\xff"[..], b"\x0a\x05ab", b"", b"\x07"] {
            let mut changed = bytes.to_vec();
            mutate(&mut Rng::with_seed(1), &mut changed);
            assert_eq!(changed, bytes);
        }
    }
}
