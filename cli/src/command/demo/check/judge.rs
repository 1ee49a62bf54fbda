//! Is an answer what it should be? What came, in words, and whether that is right (pure).

use std::collections::BTreeMap;
use std::fmt::Display;

use super::super::client::Answer;

/// What came of one check: in words, and whether it is right.
pub(super) type Finding = (String, bool);

/// What an answer should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    /// Its status.
    pub(super) status: u16,
    /// A header and its value.
    pub(super) header: Option<(&'a str, String)>,
    /// What its text begins with.
    pub(super) text: &'a str,
}

impl Wanted<'_> {
    /// In words.
    pub(super) fn describe(&self) -> String {
        let header = self.header.as_ref();
        parts(
            self.status,
            header.map(|(name, value)| (*name, value.as_str())),
            self.text,
        )
    }

    /// Judges an answer.
    pub(super) fn judge<E: Display>(&self, answer: &Result<Answer, E>) -> Finding {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return (error.to_string(), false),
        };
        let header = self
            .header
            .as_ref()
            .map(|(name, _)| (*name, answer.header(name)));
        let got = parts(answer.status, header, first_line(&answer.text, self.text));
        let ok = answer.status == self.status
            && answer.text.starts_with(self.text)
            && self
                .header
                .as_ref()
                .is_none_or(|(name, value)| answer.header(name) == value);
        (got, ok)
    }
}

fn parts(status: u16, header: Option<(&str, &str)>, text: &str) -> String {
    let mut parts = vec![status.to_string()];
    parts.extend(header.map(|(name, value)| format!("{name}: {value}")));
    if !text.trim().is_empty() {
        parts.push(format!("'{}'", text.trim()));
    }
    parts.join(", ")
}

/// The first line of a text, or nothing if none is asked for.
fn first_line<'t>(text: &'t str, wanted: &str) -> &'t str {
    match wanted {
        "" => "",
        _ => text.lines().next().unwrap_or_default(),
    }
}

/// How many answers came from which backend.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tally {
    by_backend: BTreeMap<String, usize>,
    failures: usize,
    first_failure: Option<String>,
}

impl Tally {
    /// Counts one more. Anything but a 200 of a backend is a failure.
    pub(super) fn count<E: Display>(&mut self, answer: &Result<Answer, E>) {
        let failure = match answer {
            Ok(answer) if answer.status == 200 && !answer.backend().is_empty() => {
                *self
                    .by_backend
                    .entry(answer.backend().to_owned())
                    .or_default() += 1;
                return;
            }
            Ok(answer) => answer.status.to_string(),
            Err(error) => error.to_string(),
        };
        self.failures += 1;
        self.first_failure.get_or_insert(failure);
    }

    /// Answers of one backend.
    pub(super) fn of(&self, backend: &str) -> usize {
        self.by_backend.get(backend).copied().unwrap_or_default()
    }

    /// In words, and whether there was no failure and `as_wanted` holds.
    pub(super) fn judge(&self, as_wanted: impl Fn(&Self) -> bool) -> Finding {
        let counts = self.by_backend.iter();
        let mut parts: Vec<_> = counts
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        if let Some(failure) = &self.first_failure {
            parts.push(format!("{} failed ({failure})", self.failures));
        }
        (parts.join(", "), self.failures == 0 && as_wanted(self))
    }

    /// The backends that answered are exactly these.
    pub(super) fn is_from(&self, backends: &[&str]) -> bool {
        self.by_backend.keys().eq(backends)
    }
}

/// The lines that a request must have had when it reached the backend, as (name, value).
///
/// A value that ends with `…` is only the begin.
pub(super) fn arrived<E: Display>(
    answer: &Result<Answer, E>,
    wanted: &[(&str, String)],
) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return (error.to_string(), false),
    };
    let value = |name: &str| {
        let mut lines = answer.text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(name, wanted)| !value(name).is_some_and(|value| is_as(value, wanted)))
        .map(|(name, _)| format!("{name}: {}", value(name).unwrap_or("missing")))
        .collect();
    match missing.is_empty() {
        true => (describe(wanted), true),
        false => (missing.join(", "), false),
    }
}

/// The lines in words, without what their names have in common.
pub(super) fn describe(lines: &[(&str, String)]) -> String {
    let lines = lines.iter().map(|(name, value)| {
        let short = name
            .strip_prefix("x-forwarded-")
            .or_else(|| name.strip_prefix("x-amzn-"));
        let name = short.unwrap_or(name);
        format!("{name}: {value}")
    });
    lines.collect::<Vec<_>>().join(", ")
}

fn is_as(value: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('…') {
        Some(begin) => value.starts_with(begin),
        None => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], text: &str) -> Result<Answer, String> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        Ok(Answer {
            status,
            headers,
            text: text.to_owned(),
        })
    }

    #[test]
    fn an_answer_is_right_only_if_all_of_it_is() {
        let moved = Wanted {
            status: 301,
            header: Some(("location", "http://h:1/shop/".to_owned())),
            text: "",
        };
        assert_eq!(moved.describe(), "301, location: http://h:1/shop/");
        let hello = Wanted {
            status: 200,
            header: None,
            text: "hello from zone a",
        };
        let location = &[("location", "http://h:1/shop/")];
        let cases = [
            (
                &moved,
                answer(301, location, "moved"),
                "301, location: http://h:1/shop/",
                true,
            ),
            (
                &moved,
                answer(302, location, ""),
                "302, location: http://h:1/shop/",
                false,
            ),
            (
                &moved,
                answer(301, &[("location", "/")], ""),
                "301, location: /",
                false,
            ),
            (&moved, answer(301, &[], ""), "301, location: ", false),
            (
                &hello,
                answer(200, &[], "hello from zone a\n"),
                "200, 'hello from zone a'",
                true,
            ),
            (
                &hello,
                answer(200, &[], "hello from zone b\n"),
                "200, 'hello from zone b'",
                false,
            ),
            (&hello, Err("reset".to_owned()), "reset", false),
        ];
        for (wanted, answer, got, ok) in cases {
            assert_eq!(wanted.judge(&answer), (got.to_owned(), ok));
        }
    }

    #[test]
    fn a_tally_needs_every_answer() {
        let mut tally = Tally::default();
        for backend in ["blue-2", "blue-1", "blue-2"] {
            tally.count(&answer(200, &[("x-backend", backend)], ""));
        }
        assert_eq!((tally.of("blue-2"), tally.of("green")), (2, 0));
        assert!(tally.is_from(&["blue-1", "blue-2"]));
        assert!(!tally.is_from(&["blue-2"]));
        assert_eq!(
            tally.judge(|_| true),
            ("1 blue-1, 2 blue-2".to_owned(), true)
        );
        assert!(!tally.judge(|_| false).1);
        tally.count(&answer(503, &[], ""));
        tally.count(&Err("reset"));
        assert_eq!(
            tally.judge(|_| true),
            ("1 blue-1, 2 blue-2, 2 failed (503)".to_owned(), false)
        );
        // A 200 that no backend gave was made up by somebody.
        let mut tally = Tally::default();
        tally.count(&answer(200, &[], ""));
        assert_eq!(tally.judge(|_| true), ("1 failed (200)".to_owned(), false));
    }

    #[test]
    fn headers_that_arrived_are_compared_by_name_and_value() {
        let reached = answer(
            200,
            &[],
            "hello from blue-1\nGET /\nx-forwarded-proto: http\nx-amzn-trace-id: Root=1-2\n",
        );
        let wanted = |proto: &str| {
            [
                ("x-forwarded-proto", proto.to_owned()),
                ("x-amzn-trace-id", "Root=…".to_owned()),
            ]
        };
        assert_eq!(
            arrived(&reached, &wanted("http")),
            ("proto: http, trace-id: Root=…".to_owned(), true)
        );
        assert_eq!(
            arrived(&reached, &wanted("https")),
            ("x-forwarded-proto: http".to_owned(), false)
        );
        let nothing = [("x-forwarded-port", "80".to_owned())];
        assert_eq!(
            arrived(&reached, &nothing),
            ("x-forwarded-port: missing".to_owned(), false)
        );
    }
}
