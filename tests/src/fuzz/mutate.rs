//! Changes an input: bytes, pieces with a meaning, numbers, lines, other inputs.

use std::ops::Range;

use fastrand::Rng;

use super::Target;

/// Numbers at the edges of what fits somewhere.
const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "00",
    "-1",
    "+1",
    "7f",
    "ff",
    "255",
    "256",
    "65535",
    "65536",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "fffffffffffffff0",
];
/// Bytes that parsers treat in their own way.
const BYTES: &[u8] = b"\0\t\n\r \"'(),-./:;<=?@[\\]_`{|}~\x7f\x80\xbf\xc2\xed\xf4\xff";
/// Longest piece that is moved at once.
const PIECE_MAX: usize = 64;

/// One change.
pub(super) fn mutate(random: &mut Rng, target: &Target, pool: &[Vec<u8>], input: &mut Vec<u8>) {
    if let Some(own) = target.own_mutation
        && random.bool()
    {
        return own(random, input);
    }
    match random.u8(..16) {
        0..4 => {
            let piece = random.choice(target.dictionary).copied();
            insert(random, input, piece.unwrap_or_default());
        }
        4 => {
            let piece = random.choice(target.dictionary).copied();
            let range = any_range(random, input.len());
            input.splice(range, piece.unwrap_or_default().iter().copied());
        }
        5 => drop(input.drain(any_range(random, input.len()))),
        6 => {
            let piece = input[any_range(random, input.len())].to_vec();
            insert(random, input, &piece);
        }
        7 => set_byte(random, input, |random, _| random.u8(..)),
        8 => set_byte(random, input, |random, byte| byte ^ (1 << random.u8(..8))),
        9 => {
            let byte = random.choice(BYTES).copied().unwrap_or_default();
            insert(random, input, &[byte]);
        }
        10 => set_byte(random, input, |_, byte| byte ^ 0x20),
        11 => change_number(random, input),
        12 => change_lines(random, input),
        13 => input.truncate(random.usize(..=input.len())),
        14 => cross(random, pool, input),
        _ => repeat(random, input, target.bytes_max),
    }
}

fn insert(random: &mut Rng, input: &mut Vec<u8>, piece: &[u8]) {
    let at = random.usize(..=input.len());
    input.splice(at..at, piece.iter().copied());
}

fn set_byte(random: &mut Rng, input: &mut [u8], change: impl FnOnce(&mut Rng, u8) -> u8) {
    if !input.is_empty() {
        let at = random.usize(..input.len());
        input[at] = change(random, input[at]);
    }
}

/// A short piece, seldom a long one.
fn any_range(random: &mut Rng, length: usize) -> Range<usize> {
    let start = random.usize(..=length);
    let most = if random.u8(..8) == 0 {
        length
    } else {
        random.usize(1..=PIECE_MAX)
    };
    start..length.min(start + random.usize(..=most))
}

/// Puts a number in place of one, or anywhere.
fn change_number(random: &mut Rng, input: &mut Vec<u8>) {
    let number = random.choice(NUMBERS).unwrap_or_default().bytes();
    let from = random.usize(..=input.len());
    let digit = |byte: &u8| byte.is_ascii_hexdigit();
    let start = from + input[from..].iter().take_while(|byte| !digit(byte)).count();
    let end = start + input[start..].iter().take_while(|byte| digit(byte)).count();
    input.splice(start..end, number);
}

/// Doubles, drops or moves a line.
fn change_lines(random: &mut Rng, input: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = input
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        return;
    }
    let line = random.usize(..lines.len());
    let place = random.usize(..lines.len());
    match random.u8(..3) {
        0 => lines.swap(line, place),
        1 => lines.insert(place, lines[line].clone()),
        _ => drop(lines.remove(line)),
    }
    *input = lines.concat();
}

/// Goes on with the end of another input, or takes a piece of it.
fn cross(random: &mut Rng, pool: &[Vec<u8>], input: &mut Vec<u8>) {
    let Some(other) = random.choice(pool) else {
        return;
    };
    if random.bool() {
        input.truncate(random.usize(..=input.len()));
        input.extend_from_slice(&other[random.usize(..=other.len())..]);
    } else {
        let piece = &other[any_range(random, other.len())];
        insert(random, input, piece);
    }
}

/// Says something again and again, now and then up to the longest input.
fn repeat(random: &mut Rng, input: &mut Vec<u8>, bytes_max: usize) {
    let range = any_range(random, input.len());
    let piece = input[range.clone()].to_vec();
    if piece.is_empty() {
        return;
    }
    let most = match random.u8(..16) {
        0 => bytes_max / piece.len(),
        1..4 => 200,
        _ => 8,
    };
    let times = random.usize(..=most.min(bytes_max / piece.len()));
    input.splice(range, piece.repeat(times));
}
