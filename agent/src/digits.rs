//! Numbers as text, a few instructions each: heads and lines of the access log carry several a request. Pure.

/// Most digits of a 64-bit number.
const DIGITS_MAX: usize = 20;

/// `00` to `99`, two characters each.
pub const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// `00` to `ff`, two characters each.
const HEX_PAIRS: [[u8; 2]; 256] = {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [HEX[byte >> 4], HEX[byte & 0xf]];
        byte += 1;
    }
    pairs
};

/// A number up to 999 and how many characters it has.
type Short = ([u8; 3], usize);

/// Appends a decimal number.
pub fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; DIGITS_MAX];
    let (mut at, mut rest) = (DIGITS_MAX, number);
    while rest >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    let [tens, ones] = PAIRS[rest as usize];
    at -= 1;
    digits[at] = ones;
    if rest >= 10 {
        at -= 1;
        digits[at] = tens;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends an IPv4 address.
pub fn write_ipv4(out: &mut Vec<u8>, octets: [u8; 4]) {
    let mut text = [0; 15];
    let mut at = 0;
    for (place, octet) in octets.into_iter().enumerate() {
        if place > 0 {
            text[at] = b'.';
            at += 1;
        }
        let (digits, count) = short(octet);
        text[at..at + count].copy_from_slice(&digits[..count]);
        at += count;
    }
    out.extend_from_slice(&text[..at]);
}

/// Appends a number as 16 hexadecimal digits.
pub fn write_hex16(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 16];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair.copy_from_slice(&HEX_PAIRS[usize::from(byte)]);
    }
    out.extend_from_slice(&digits);
}

/// Appends a number as 8 hexadecimal digits.
pub fn write_hex8(out: &mut Vec<u8>, number: u32) {
    let mut digits = [0; 8];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair.copy_from_slice(&HEX_PAIRS[usize::from(byte)]);
    }
    out.extend_from_slice(&digits);
}

fn short(number: u8) -> Short {
    let [tens, ones] = PAIRS[usize::from(number % 100)];
    match number {
        0..=9 => ([ones, 0, 0], 1),
        10..=99 => ([tens, ones, 0], 2),
        100.. => ([b'0' + number / 100, tens, ones], 3),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_does() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        let near = powers.flat_map(|power| [power - 1, power, power + 1]);
        for number in near.chain(0..1000).chain([u64::MAX]) {
            assert_eq!(written(|out| write_number(out, number)), number.to_string());
            assert_eq!(
                written(|out| write_hex16(out, number)),
                format!("{number:016x}")
            );
            let low = (number & 0xffff_ffff) as u32;
            assert_eq!(written(|out| write_hex8(out, low)), format!("{low:08x}"));
        }
    }

    #[test]
    fn numbers_are_as_the_library_writes_them() {
        let mut cases = vec![0, 1, 9, 10, 99, 100, 101, 65_535, u64::MAX];
        let mut random = fastrand::Rng::with_seed(1);
        cases.extend((0..1000).map(|_| random.u64(..) >> random.u32(..64)));
        for case in cases {
            assert_eq!(written(|out| write_number(out, case)), case.to_string());
        }
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        for octet in 0..=255 {
            let octets = [octet, 255 - octet, 0, octet / 3];
            assert_eq!(
                written(|out| write_ipv4(out, octets)),
                Ipv4Addr::from(octets).to_string()
            );
        }
    }
}
