//! The chunk scanner: one verdict and one payload however the bytes arrive, and nothing accepted that a strict reader
//! of the coding reads in another way, or not at all.

use inlet_agent::http::body::Body;
use inlet_agent::http::chunked::{Malformed, Scanner};
use inlet_agent::http::head::Framing;

use super::places;
use crate::fuzz::strict::is_token;
use crate::fuzz::{Outcome, Target, chance, feature};

pub(super) static TARGET: Target = Target {
    name: "chunks",
    dictionary: &[
        b"\r\n",
        b"\n",
        b"\r",
        b"0\r\n\r\n",
        b"0\r\n",
        b"00\r\n",
        b"1\r\na\r\n",
        b"a\r\n0123456789\r\n",
        b"A\r\n",
        b"fffffffffffffff\r\n",
        b"ffffffffffffffff\r\n",
        b"0x1\r\n",
        b"1;a=b\r\n",
        b"1;a=\"b\r\n",
        b"; a\r\n",
        b" ;a\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"1 \r\n",
        b"\t",
        b"\0",
        b"\xff",
        b"\x7f",
        b"A: b\r\n",
        b"A : b\r\n",
        b" A: b\r\n",
        b"A:\r\n",
        b":\r\n",
        b"Content-Length: 1\r\n",
        b"Content_Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: a\r\n",
        b"X-Forwarded-For: a\r\n",
        b"Trailer: a\r\n",
        b"Connection: close\r\n",
        b"Digest: a\r\n",
        b"GET / HTTP/1.1\r\n",
    ],
    bytes_max: 40_000,
    own_mutation: None,
    run,
};

/// What became of a body: its data, and where it ended, if it did; or that it is malformed.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    data: Vec<u8>,
    verdict: Result<Option<usize>, ()>,
}

fn run(bytes: &[u8]) -> Outcome {
    let mut random = chance(bytes);
    let whole = scan(bytes, &[]);
    for splits in [
        places(&mut random, bytes.len()),
        places(&mut random, bytes.len()),
        (1..bytes.len().min(2000)).collect(),
    ] {
        assert_eq!(scan(bytes, &splits), whole, "split at {splits:?}");
    }
    assert_eq!(
        pass_unseen(bytes, &mut random),
        whole.verdict,
        "with data that passes unseen"
    );
    match whole.verdict {
        Err(()) => Outcome::refused(0),
        Ok(None) => Outcome::refused(1),
        Ok(Some(end)) => {
            let read = strictly(&bytes[..end]);
            let read = read.unwrap_or_else(|why| panic!("a strict reader: {why}"));
            assert!(read.data == whole.data, "a strict reader has other data");
            Outcome::accepted([
                feature((read.chunks.min(8), read.trailers.min(4))),
                feature((read.extended, end < bytes.len(), read.trailers > 0)),
                feature(whole.data.len().checked_ilog2()),
            ])
        }
    }
}

/// As pieces that end at `splits`.
fn scan(bytes: &[u8], splits: &[usize]) -> Reading {
    let (mut scanner, mut data, mut taken, mut start) = (Scanner::default(), Vec::new(), 0, 0);
    for end in splits.iter().copied().chain([bytes.len()]) {
        match scanner.scan(&bytes[start..end], |piece| data.extend_from_slice(piece)) {
            Ok(more) => taken += more,
            Err(Malformed) => {
                return Reading {
                    data,
                    verdict: Err(()),
                };
            }
        }
        assert!(scanner.is_done() || taken == end, "bytes are left out");
        start = end;
    }
    let end = scanner.is_done().then_some(taken);
    Reading {
        data,
        verdict: Ok(end),
    }
}

/// As the engine does when data goes through a pipe: skipped, not looked at.
fn pass_unseen(bytes: &[u8], random: &mut fastrand::Rng) -> Result<Option<usize>, ()> {
    let (mut body, mut at) = (Body::framed(Framing::Chunked), 0);
    while at < bytes.len() && !body.is_done() {
        let left = bytes.len() - at;
        let unseen = usize::try_from(body.unseen())
            .unwrap_or(usize::MAX)
            .min(left);
        if unseen > 0 {
            let skipped = random.usize(1..=unseen);
            body.skip(skipped);
            at += skipped;
        } else {
            let piece = random.usize(1..=left.min(40));
            at += body
                .take(&bytes[at..at + piece], |_| {})
                .map_err(|Malformed| ())?;
        }
    }
    Ok(body.is_done().then_some(at))
}

/// What the strict reader finds.
#[derive(Debug, Default)]
struct Strict {
    data: Vec<u8>,
    chunks: usize,
    trailers: usize,
    extended: bool,
}

/// A chunked body that ends with the last byte (RFC 9112, 7.1), shares no code with the agent.
fn strictly(bytes: &[u8]) -> Result<Strict, String> {
    let (mut strict, mut rest) = (Strict::default(), bytes);
    loop {
        let line = line(&mut rest)?;
        let (size, extension) = match line.iter().position(|byte| *byte == b';') {
            Some(at) => line.split_at(at),
            None => (line, &b""[..]),
        };
        if size.is_empty() || !size.iter().all(u8::is_ascii_hexdigit) {
            return Err(format!("the size {}", size.escape_ascii()));
        }
        let size = u64::from_str_radix(&String::from_utf8_lossy(size), 16)
            .map_err(|error| error.to_string())?;
        strict.extended |= !extension.is_empty();
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).map_err(|error| error.to_string())?;
        strict
            .data
            .extend_from_slice(rest.split_off(..size).ok_or("the data ends early")?);
        strict.chunks += 1;
        if rest.split_off(..2) != Some(b"\r\n") {
            return Err("no CRLF after the data".to_owned());
        }
    }
    loop {
        let line = line(&mut rest)?;
        if line.is_empty() {
            break;
        }
        trailer(line)?;
        strict.trailers += 1;
    }
    if rest.is_empty() {
        Ok(strict)
    } else {
        Err("it ends earlier".to_owned())
    }
}

/// Up to a CRLF; no control characters within.
fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let end = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or("a line without end")?;
    let line = rest.split_off(..=end).ok_or("a line without end")?;
    let line = line.strip_suffix(b"\r\n").ok_or("LF without CR")?;
    match line
        .iter()
        .find(|byte| byte.is_ascii_control() && **byte != b'\t')
    {
        Some(byte) => Err(format!("the byte {byte} in a line")),
        None => Ok(line),
    }
}

/// Named by a token, and by none that frames, routes, or says what we say.
fn trailer(line: &[u8]) -> Result<(), String> {
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or("a trailer without colon")?;
    let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let forbidden = [
        "contentlength",
        "transferencoding",
        "xforwardedfor",
        "xforwardedproto",
        "xforwardedport",
        "xamzntraceid",
    ];
    let of_heads = [
        "host",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
        "proxy-connection",
    ];
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("the trailer {name}"));
    }
    if forbidden.contains(&letters.as_str()) || of_heads.contains(&name.as_str()) {
        return Err(format!("{name} as a trailer"));
    }
    Ok(())
}
