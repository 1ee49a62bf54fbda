//! Where checks report: the violations so far, and the path of the part that is being looked at.

use super::Violation;

/// Bytes of a message that are kept at its begin and at its end: a value that it quotes may be of any length, and the
/// remedy stands behind it.
const KEPT_BYTES: usize = 300;

/// Collects violations. Paths given to its methods are relative to the part being looked at; an empty one is the
/// part itself.
#[derive(Debug, Default)]
pub(super) struct Findings {
    path: String,
    found: Vec<Violation>,
}

impl Findings {
    /// Reports a violation.
    pub(super) fn refuse(&mut self, field: &str, message: impl Into<String>) {
        let field = join(&self.path, field);
        self.found.push(Violation {
            field,
            message: shorten(message.into()),
        });
    }

    /// Reports something that the language has and no program serves so far; `what` is a singular noun.
    pub(super) fn unsupported(&mut self, field: &str, what: &str) {
        self.refuse(field, format!("{what} is not supported yet"));
    }

    /// Looks into one field.
    pub(super) fn inside(&mut self, field: &str, check: impl FnOnce(&mut Self)) {
        let deeper = join(&self.path, field);
        let here = std::mem::replace(&mut self.path, deeper);
        check(self);
        self.path = here;
    }

    /// Looks into every item of a list.
    pub(super) fn each<T>(
        &mut self,
        list: &str,
        items: &[T],
        mut check: impl FnMut(&mut Self, &T),
    ) {
        for (index, item) in items.iter().enumerate() {
            self.inside(&format!("{list}[{index}]"), |findings| {
                check(findings, item)
            });
        }
    }

    /// All violations, in the order of the checks.
    pub(super) fn into_violations(self) -> Vec<Violation> {
        self.found
    }
}

fn shorten(message: String) -> String {
    if message.len() <= 2 * KEPT_BYTES {
        return message;
    }
    let begin = &message[..message.floor_char_boundary(KEPT_BYTES)];
    let end = &message[message.ceil_char_boundary(message.len() - KEPT_BYTES)..];
    format!("{begin}...{end}")
}

fn join(path: &str, field: &str) -> String {
    let dot = if path.is_empty() || field.is_empty() || field.starts_with('[') {
        ""
    } else {
        "."
    };
    format!("{path}{dot}{field}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_its_begin_and_its_remedy_whatever_it_quotes() {
        let said = |value: &str| {
            let mut findings = Findings::default();
            findings.refuse("host", format!("'{value}' is no host: use a name"));
            findings.into_violations().remove(0).message
        };
        assert_eq!(said("a b"), "'a b' is no host: use a name");
        let long = said(&"\u{20ac}".repeat(10_000));
        assert!(
            long.starts_with("'\u{20ac}") && long.ends_with("\u{20ac}' is no host: use a name")
        );
        assert!(long.contains("...") && long.len() <= 2 * KEPT_BYTES + 3);
    }
}
