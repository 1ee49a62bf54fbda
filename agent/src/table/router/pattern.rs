//! A text with wildcards: `*` = any number of characters, `?` = one.
//!
//! Only visible characters are matched: a text with a control character matches no pattern, whatever its wildcards
//! (application load balancer, 7.1). Matching never goes back over a `*`, so its cost is at most text x pattern.

use std::sync::Arc;

use memchr::memmem;

/// Stands for `*` in compiled patterns; no text that can match has these two.
const STAR: u8 = 1;
/// Stands for `?`.
const ANY: u8 = 0;

/// A compiled pattern. Clones share their bytes; equal ones match the same texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// With [`STAR`] and [`ANY`].
    bytes: Arc<[u8]>,
    case: Case,
    /// Length of what stands before the first `*`; of all if there is none.
    head: usize,
    /// Length of what stands behind the last `*`; 0 if there is none.
    tail: usize,
    /// Characters that the shortest matching text has.
    shortest: usize,
}

/// Whether `A` is `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    /// No: they differ.
    Matters,
    /// Yes. The pattern is kept in lower case, texts may be as they come.
    Ignored,
}

impl Pattern {
    /// Compiles a text of printable characters.
    pub fn new(text: &str, case: Case) -> Self {
        Self::of(text.bytes().map(wildcard), case)
    }

    /// Compiles a text in which `\` takes the character behind it literally.
    pub fn escaped(text: &str, case: Case) -> Self {
        let mut bytes = text.bytes();
        let unescape = || match bytes.next()? {
            b'\\' => Some(bytes.next().unwrap_or(b'\\')),
            byte => Some(wildcard(byte)),
        };
        Self::of(std::iter::from_fn(unescape), case)
    }

    fn of(bytes: impl Iterator<Item = u8>, case: Case) -> Self {
        let bytes: Arc<[u8]> = match case {
            Case::Matters => bytes.collect(),
            Case::Ignored => bytes.map(|byte| byte.to_ascii_lowercase()).collect(),
        };
        let stars = bytes.iter().filter(|byte| **byte == STAR).count();
        let first = memchr::memchr(STAR, &bytes);
        let last = memchr::memrchr(STAR, &bytes);
        Self {
            head: first.unwrap_or(bytes.len()),
            tail: last.map_or(0, |last| bytes.len() - last - 1),
            shortest: bytes.len() - stars,
            bytes,
            case,
        }
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        is_visible(text) && self.matches_visible(text)
    }

    /// Whether a text that is known to have no control characters matches.
    pub(super) fn matches_visible(&self, text: &[u8]) -> bool {
        match self.case {
            Case::Matters => self.matches_as::<false>(text),
            Case::Ignored => self.matches_as::<true>(text),
        }
    }

    fn matches_as<const FOLD: bool>(&self, text: &[u8]) -> bool {
        if self.head == self.bytes.len() {
            return same::<FOLD>(&self.bytes, text);
        }
        if text.len() < self.shortest {
            return false;
        }
        let (head, rest) = text.split_at(self.head);
        let (rest, tail) = rest.split_at(rest.len() - self.tail);
        same::<FOLD>(&self.bytes[..self.head], head)
            && same::<FOLD>(&self.bytes[self.bytes.len() - self.tail..], tail)
            && in_order::<FOLD>(self.middle(), rest)
    }

    /// What stands between the first and the last `*`.
    fn middle(&self) -> &[u8] {
        let end = self.bytes.len() - self.tail - 1;
        self.bytes.get(self.head + 1..end).unwrap_or_default()
    }

    /// The text itself, if it has no wildcard.
    pub(super) fn exact(&self) -> Option<&[u8]> {
        (self.shortest == self.bytes.len() && !self.bytes.contains(&ANY)).then_some(&self.bytes)
    }

    /// What every matching text begins with.
    pub(super) fn prefix(&self) -> &[u8] {
        self.literals().next().unwrap_or_default()
    }

    /// What every matching text ends with.
    pub(super) fn suffix(&self) -> &[u8] {
        self.bytes
            .rsplit(|byte| is_wildcard(*byte))
            .next()
            .unwrap_or_default()
    }

    /// All that stands between wildcards, in order; every matching text contains each.
    pub(super) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|byte| is_wildcard(*byte))
    }
}

/// Whether a text has no control character (application load balancer, 7.1).
pub(crate) fn is_visible(text: &[u8]) -> bool {
    // No early exit: the whole is a few vector instructions.
    !text
        .iter()
        .fold(false, |found, byte| found | byte.is_ascii_control())
}

fn wildcard(byte: u8) -> u8 {
    match byte {
        b'*' => STAR,
        b'?' => ANY,
        byte => byte,
    }
}

fn is_wildcard(byte: u8) -> bool {
    matches!(byte, STAR | ANY)
}

/// Whether a piece without `*` matches a text as a whole.
fn same<const FOLD: bool>(piece: &[u8], text: &[u8]) -> bool {
    let same = |(pattern, byte): (&u8, &u8)| {
        let byte = if FOLD {
            byte.to_ascii_lowercase()
        } else {
            *byte
        };
        *pattern == byte || *pattern == ANY
    };
    piece.len() == text.len() && (piece == text || piece.iter().zip(text).all(same))
}

/// Whether the pieces between `*`s occur one after the other. Taking the leftmost place of each is always right: a `*`
/// takes whatever comes before the next.
fn in_order<const FOLD: bool>(pieces: &[u8], mut text: &[u8]) -> bool {
    for piece in pieces.split(|byte| *byte == STAR) {
        let Some(at) = find::<FOLD>(piece, text) else {
            return false;
        };
        text = &text[at + piece.len()..];
    }
    true
}

fn find<const FOLD: bool>(piece: &[u8], text: &[u8]) -> Option<usize> {
    if !FOLD && !piece.contains(&ANY) {
        return memmem::find(text, piece);
    }
    let last = text.len().checked_sub(piece.len())?;
    (0..=last).find(|at| same::<FOLD>(piece, &text[*at..at + piece.len()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("/a", &["/a"], &["", "/", "/A", "/ab", "a", "/a\n"]),
            ("*", &["", "x", "/a/b", "é"], &["\t", "a\0", "\x7f"]),
            ("?", &["x", "?", "*"], &["", "xy", "\x01"]),
            ("/a/*", &["/a/", "/a/b/c"], &["/a", "/b/", "/a/\x1f"]),
            (
                "*.jpg",
                &[".jpg", "/x/y.jpg"],
                &["jpg", "/x.jpgx", "/x.JPG"],
            ),
            ("a*a", &["aa", "aba", "aaa"], &["a", "ab", "baa"]),
            (
                "a*b*c",
                &["abc", "axxbyyc", "abcbc"],
                &["acb", "ac", "abcd"],
            ),
            ("a*?c", &["axc", "abbc"], &["ac", "c"]),
            ("?*?", &["xy", "xyz"], &["x", ""]),
            ("*a?c*", &["abc", "xxaacyy", "aabc"], &["ac", "abbc"]),
            ("**a**", &["a", "bab"], &["", "b"]),
            ("*ab*ab*", &["abab", "xabyabz"], &["ab", "aab", "aba"]),
            (r"a\*", &[r"a\", r"a\b"], &["a*", "a"]),
        ];
        for (pattern, matching, others) in cases {
            let compiled = Pattern::new(pattern, Case::Matters);
            for text in *matching {
                assert!(compiled.matches(text.as_bytes()), "{pattern} {text:?}");
            }
            for text in *others {
                assert!(!compiled.matches(text.as_bytes()), "{pattern} {text:?}");
            }
        }
    }

    #[test]
    fn case_is_ignored_where_it_should_be() {
        for (pattern, text, matches) in [
            ("Mozilla/*", "moZilla/5", true),
            ("*Chrome*", "x CHROME y", true),
            ("*c?rome*", "x CHROME y", true),
            ("*chrome*", "chrom", false),
            ("EXACT", "exact", true),
            ("[", "{", false),
        ] {
            let compiled = Pattern::new(pattern, Case::Ignored);
            assert_eq!(
                compiled.matches(text.as_bytes()),
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_backslash_takes_wildcards_literally_where_they_can_be_escaped() {
        for (pattern, text, matches) in [
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            (r"\?*", "?x", true),
            (r"\?*", "xx", false),
            (r"\\*", r"\x", true),
            (r"a\", r"a\", true),
        ] {
            let compiled = Pattern::escaped(pattern, Case::Ignored);
            assert_eq!(
                compiled.matches(text.as_bytes()),
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn adversarial_texts_cost_no_more_than_text_times_pattern() {
        let pattern = Pattern::new(&"*a".repeat(64), Case::Matters);
        let folded = Pattern::new(&format!("{}*?b*", "*a?".repeat(30)), Case::Ignored);
        let text = "a".repeat(16 * 1024);
        // Exponential or even quadratic matching would not end before the test run does.
        for _ in 0..10 {
            assert!(pattern.matches(text.as_bytes()));
            assert!(!folded.matches(text.as_bytes()));
        }
    }

    #[test]
    fn what_matching_texts_must_have() {
        for (pattern, exact, prefix, suffix) in [
            ("/a", Some("/a"), "/a", "/a"),
            ("/a*", None, "/a", ""),
            ("*.com", None, "", ".com"),
            ("/a?b*c", None, "/a", "c"),
            ("?", None, "", ""),
        ] {
            let pattern = Pattern::new(pattern, Case::Matters);
            assert_eq!(pattern.exact(), exact.map(str::as_bytes));
            assert_eq!(pattern.prefix(), prefix.as_bytes());
            assert_eq!(pattern.suffix(), suffix.as_bytes());
        }
    }
}
