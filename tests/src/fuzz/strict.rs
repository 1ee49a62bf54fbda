//! A second opinion on heads: reads HTTP/1.1 in its one canonical form, and nothing else.
//!
//! Written from RFC 9112 and sharing no code with the agent: what the agent sends on must mean to this reader what it
//! meant to the agent. Any leniency here would hide what a target could misread.

/// A header: its name in lower case, its value as it stands.
pub(super) type Header<'a> = (String, &'a [u8]);

/// A head in canonical form.
#[derive(Debug)]
pub(super) struct Strict<'a> {
    /// Without its end.
    pub(super) first: &'a [u8],
    /// In their order.
    pub(super) headers: Vec<Header<'a>>,
}

/// How a body is framed, as a reader of the canonical form sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Body {
    /// No framing header.
    Unframed,
    /// Content-Length.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

impl<'a> Strict<'a> {
    /// A head that ends with the last byte. Errors: what is not canonical.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let inside = bytes
            .strip_suffix(b"\r\n\r\n")
            .ok_or("no empty line at the end")?;
        let mut lines = lines(inside)?.into_iter();
        let first = lines.next().ok_or("no first line")?;
        let headers = lines.map(header).collect::<Result<_, _>>()?;
        Ok(Self { first, headers })
    }

    /// All values of a header, named in lower case.
    pub(super) fn all(&self, name: &str) -> Vec<&'a [u8]> {
        let found = self.headers.iter().filter(|header| header.0 == name);
        found.map(|header| header.1).collect()
    }

    /// The only value of a header.
    pub(super) fn only(&self, name: &str) -> Result<&'a [u8], String> {
        match self.all(name)[..] {
            [value] => Ok(value),
            ref values => Err(format!("{} {name} headers", values.len())),
        }
    }

    /// What frames the body. Errors: two headers do, one is not in its one form, or one is in disguise.
    pub(super) fn body(&self) -> Result<Body, String> {
        for (name, _) in &self.headers {
            let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            let framing = letters == "contentlength" || letters == "transferencoding";
            if framing
                && !name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            {
                return Err(format!("a framing header in disguise: {name}"));
            }
        }
        match (
            &self.all("content-length")[..],
            &self.all("transfer-encoding")[..],
        ) {
            ([], []) => Ok(Body::Unframed),
            ([length], []) => length_of(length).map(Body::Length),
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Body::Chunked),
            (lengths, codings) => Err(format!("framed by {lengths:?} and {codings:?}")),
        }
    }
}

/// Lines that end with CRLF and have no other CR or LF in them.
fn lines(bytes: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut lines = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let last = number == bytes.iter().filter(|byte| **byte == b'\n').count();
        let line = match line.strip_suffix(b"\r") {
            Some(line) if !last => line,
            None if last => line,
            _ => return Err(format!("line {number} does not end with CRLF")),
        };
        if line.contains(&b'\r') {
            return Err(format!("CR within line {number}"));
        }
        lines.push(line);
    }
    Ok(lines)
}

fn header(line: &[u8]) -> Result<Header<'_>, String> {
    let shown = || line.escape_ascii().to_string();
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or_else(|| format!("no colon: {}", shown()))?;
    let (name, rest) = line.split_at(colon);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(format!("no name: {}", shown()));
    }
    let value = rest
        .strip_prefix(b": ")
        .ok_or_else(|| format!("no blank after the colon: {}", shown()))?;
    if value != value.trim_ascii() || !value.iter().all(|byte| is_text(*byte)) {
        return Err(format!("no value: {}", shown()));
    }
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value))
}

/// The one form of a number.
fn length_of(value: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(value);
    let length: u64 = text.parse().map_err(|_| format!("the length {text}"))?;
    if length.to_string() == text {
        Ok(length)
    } else {
        Err(format!("the length {text}"))
    }
}

/// RFC 9110, 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~')
}

/// RFC 9110, 5.5: visible, blank, tab, or beyond ASCII.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_read() {
        let good = b"GET / HTTP/1.1\r\nHost: a\r\nEmpty: \r\nContent-Length: 7\r\n\r\n";
        let head = Strict::read(good).unwrap();
        assert_eq!(
            (head.first, head.headers.len()),
            (&b"GET / HTTP/1.1"[..], 3)
        );
        assert_eq!(head.body(), Ok(Body::Length(7)));
        for bad in [
            "A\r\nHost:a\r\n\r\n",
            "A\r\nHost : a\r\n\r\n",
            "A\r\nHost: a \r\n\r\n",
            "A\r\nHost: a\n\r\n\r\n",
            "A\nB: c\r\n\r\n",
            "A\r\nB: c\rd\r\n\r\n",
            "A\r\n B: c\r\n\r\n",
            "A\r\nB: c\r\n",
            "A\r\nB: \x01\r\n\r\n",
            "A\r\n\r\nB: c\r\n\r\n",
        ] {
            assert!(Strict::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_body_has_one_framing_in_one_form() {
        for (headers, expected) in [
            ("", Some(Body::Unframed)),
            ("Transfer-Encoding: chunked\r\n", Some(Body::Chunked)),
            ("Content-Length: 07\r\n", None),
            ("Content-Length: +7\r\n", None),
            ("Content-Length: 7\r\nContent-Length: 7\r\n", None),
            ("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", None),
            ("Transfer-Encoding: gzip, chunked\r\n", None),
            ("Content_Length: 7\r\n", None),
        ] {
            let head = format!("A\r\n{headers}\r\n");
            assert_eq!(
                Strict::read(head.as_bytes()).unwrap().body().ok(),
                expected,
                "{headers}"
            );
        }
    }
}
