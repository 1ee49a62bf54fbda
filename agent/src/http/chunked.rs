//! The chunked coding, looked through while it passes: where the body ends, and that nothing in it is malformed.
//!
//! Bytes go on as they came, so whatever two readers could take differently is refused here: a size with anything but
//! hexadecimal digits, blanks before an extension, a line end that is not CRLF, folded trailers, trailers that frame
//! or route. Extensions and trailers are bounded.
//!
//! size -> extension? -> LF -> data -> CR -> LF -> size ..., and after size 0: trailers -> CR -> LF -> done.
//! Source: RFC 9112, 7.1.

use super::head::{Disguise, Kind, disguise_of, kind_of};

/// Hexadecimal digits of one size: more than any body needs, and no overflow.
const SIZE_DIGITS_MAX: u8 = 15;

/// Bytes of extensions in one body, beyond as many as it has of data: who signs each chunk may go on for ever.
const EXTENSION_BYTES_MAX: u32 = 16 * 1024;

/// Bytes of trailers after one body.
const TRAILER_BYTES_MAX: u32 = 8 * 1024;

/// The longest name among those that a trailer must not have fits, and one byte more.
const NAME_BYTES: usize = 20;

/// The same of their letters and digits alone.
const LETTERS_BYTES: usize = 17;

/// Where in the coding we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanner {
    state: State,
    /// Of the chunk: its size so far, or bytes of data to go.
    left: u64,
    digits: u8,
    extension_bytes: u32,
    trailer_bytes: u32,
    name: Beginning<NAME_BYTES>,
    /// Of the name, without the punctuation that it may hide behind.
    letters: Beginning<LETTERS_BYTES>,
}

/// The first bytes of something that may be longer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Beginning<const BYTES: usize> {
    bytes: [u8; BYTES],
    length: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEndCr,
    DataEnd,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    End,
    Done,
}

/// It is not the chunked coding, or over a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Size,
            left: 0,
            digits: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            name: Beginning::default(),
            letters: Beginning::default(),
        }
    }
}

impl<const BYTES: usize> Default for Beginning<BYTES> {
    fn default() -> Self {
        Self {
            bytes: [0; BYTES],
            length: 0,
        }
    }
}

impl<const BYTES: usize> Beginning<BYTES> {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.length)) {
            *place = byte;
            self.length += 1;
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Scanner {
    /// Goes through `bytes` up to the end of the body; says how many belong to it, and shows the data among them.
    pub fn scan(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let here = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - at);
                data(&bytes[at..at + here]);
                at += here;
                self.skip_data(here);
            } else {
                self.observe(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The body has ended.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes that may pass unseen: data of the present chunk.
    pub fn data_left(&self) -> u64 {
        if self.state == State::Data {
            self.left
        } else {
            0
        }
    }

    /// So many bytes of data passed unseen, at most [`Self::data_left`].
    pub fn skip_data(&mut self, bytes: usize) {
        debug_assert!(bytes as u64 <= self.data_left());
        self.left -= bytes as u64;
        let paid = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.extension_bytes = self.extension_bytes.saturating_sub(paid);
        if self.left == 0 {
            self.state = State::DataEndCr;
        }
    }

    fn observe(&mut self, byte: u8) -> Result<(), Malformed> {
        self.state = match (self.state, byte) {
            (State::Size, _) => return self.observe_size(byte),
            (State::Extension, b'\r') => State::SizeEnd,
            (State::Extension, b'\t' | b' '..=b'~') => {
                count(&mut self.extension_bytes, EXTENSION_BYTES_MAX)?;
                State::Extension
            }
            (State::SizeEnd, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeEnd, b'\n') => State::Data,
            (State::DataEndCr, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => {
                self.digits = 0;
                State::Size
            }
            (State::TrailerStart, b'\r') => State::End,
            (State::TrailerStart, _) => {
                self.name.length = 0;
                self.letters.length = 0;
                return self.observe_name(byte);
            }
            (State::TrailerName, b':') if self.may_be_a_trailer() => State::TrailerValue,
            (State::TrailerName, _) => return self.observe_name(byte),
            (State::TrailerValue, b'\r') => State::TrailerEnd,
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => {
                count(&mut self.trailer_bytes, TRAILER_BYTES_MAX)?;
                State::TrailerValue
            }
            (State::TrailerEnd, b'\n') => State::TrailerStart,
            (State::End, b'\n') => State::Done,
            _ => return Err(Malformed),
        };
        Ok(())
    }

    fn observe_size(&mut self, byte: u8) -> Result<(), Malformed> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b';' if self.digits > 0 => {
                self.state = State::Extension;
                return count(&mut self.extension_bytes, EXTENSION_BYTES_MAX);
            }
            b'\r' if self.digits > 0 => {
                self.state = State::SizeEnd;
                return Ok(());
            }
            _ => return Err(Malformed),
        };
        if self.digits == SIZE_DIGITS_MAX {
            return Err(Malformed);
        }
        self.left = if self.digits == 0 { 0 } else { self.left << 4 } | u64::from(digit);
        self.digits += 1;
        Ok(())
    }

    fn observe_name(&mut self, byte: u8) -> Result<(), Malformed> {
        if !is_token(byte) {
            return Err(Malformed);
        }
        count(&mut self.trailer_bytes, TRAILER_BYTES_MAX)?;
        self.state = State::TrailerName;
        self.name.push(byte);
        if byte.is_ascii_alphanumeric() {
            self.letters.push(byte);
        }
        Ok(())
    }

    /// Trailers that a target would merge into its headers must not change what we said there. A name that does not
    /// fit [`Self::name`] is none of these, unless its letters are.
    fn may_be_a_trailer(&self) -> bool {
        let name = self.name.as_bytes();
        kind_of(name) == Kind::Plain
            && disguise_of(self.letters.as_bytes()) == Disguise::None
            && !name.eq_ignore_ascii_case(b"trailer")
    }
}

/// One more byte of something that is bounded.
fn count(bytes: &mut u32, max: u32) -> Result<(), Malformed> {
    *bytes += 1;
    if *bytes > max { Err(Malformed) } else { Ok(()) }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans in two pieces; the data, and how many bytes belong to the body if it ended.
    fn scan(bytes: &[u8], split: usize) -> Result<(Vec<u8>, Option<usize>), Malformed> {
        let (mut scanner, mut data) = (Scanner::default(), Vec::new());
        let mut taken = scanner.scan(&bytes[..split], |piece| data.extend_from_slice(piece))?;
        if taken == split {
            taken += scanner.scan(&bytes[split..], |piece| data.extend_from_slice(piece))?;
        }
        Ok((data, scanner.is_done().then_some(taken)))
    }

    #[test]
    fn bodies_end_where_they_end_however_they_arrive() {
        let cases: [(&[u8], &[u8], usize); 6] = [
            (b"0\r\n\r\n", b"", 0),
            (b"3\r\nabc\r\n0\r\n\r\nGET /", b"abc", 5),
            (
                b"a;x=\"y z\"\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n",
                b"01234567890123456789",
                0,
            ),
            (b"1\r\n\r\r\n1;\r\n\n\r\n0\r\n\r\n\r\n", b"\r\n", 2),
            (b"0\r\nDigest: x\r\nEmpty:\r\n\r\n", b"", 0),
            (
                b"2\r\nab\r\n0;last\r\nServer-Timing:  a, \xff\r\n\r\n",
                b"ab",
                0,
            ),
        ];
        for (bytes, data, beyond) in cases {
            for split in 0..=bytes.len() {
                let scanned = scan(bytes, split).unwrap();
                let expected = (data.to_vec(), Some(bytes.len() - beyond));
                assert_eq!(scanned, expected, "{} at {split}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn nothing_malformed_passes_however_it_arrives() {
        let cases: [&[u8]; 29] = [
            b"\r\n",
            b";x\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b"0x1\r\n",
            b"1 \r\na\r\n",
            b"1\t;x\r\na\r\n",
            b" 1\r\na\r\n",
            b"1\na\r\n",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"1\r\na\r\r\n",
            b"1\r\r\n",
            b"1;a\nb\r\n",
            b"1;a\rb\r\n",
            b"1;a\0b\r\n",
            b"0000000000000001\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\n\n",
            b"0\r\n\r\r",
            b"0\r\n folded: x\r\n",
            b"0\r\nName : x\r\n",
            b"0\r\nName\r\n",
            b"0\r\nName: \0\r\n",
            b"0\r\nName: a\nb\r\n",
            b"0\r\nContent-Length: 1\r\n",
            b"0\r\nTRANSFER_ENCODING: chunked\r\n",
            b"0\r\n________X_Forwarded_For________: 1\r\n",
        ];
        for bytes in cases {
            for split in 0..=bytes.len() {
                assert_eq!(
                    scan(bytes, split),
                    Err(Malformed),
                    "{} at {split}",
                    bytes.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let mut scanner = Scanner::default();
        let flood = b"1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n";
        assert!((0..10_000).any(|_| scanner.scan(flood, |_| {}).is_err()));
        let mut scanner = Scanner::default();
        scanner.scan(b"0\r\n", |_| {}).unwrap();
        assert!((0..10_000).any(|_| scanner.scan(b"Name: value\r\n", |_| {}).is_err()));
    }

    #[test]
    fn data_makes_up_for_extensions() {
        let mut scanner = Scanner::default();
        let chunk = [
            b"40;signature=0123456789abcdef\r\n",
            &[b'x'; 64][..],
            b"\r\n",
        ]
        .concat();
        assert!((0..10_000).all(|_| scanner.scan(&chunk, |_| {}).is_ok()));
    }

    #[test]
    fn data_may_pass_unseen() {
        let mut scanner = Scanner::default();
        scanner.scan(b"fFfF\r\nab", |_| {}).unwrap();
        assert_eq!(scanner.data_left(), 0xffff - 2);
        scanner.skip_data(0xffff - 2);
        assert_eq!(scanner.data_left(), 0);
        assert_eq!(scanner.scan(b"\r\n0\r\n\r\n", |_| {}), Ok(7));
        assert!(scanner.is_done());
    }
}
