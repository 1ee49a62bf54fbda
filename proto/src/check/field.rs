//! Checks of single fields that many kinds have: names, references, numbers, durations, texts.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::findings::Findings;
use super::limits;
use crate::kind::Kind;
use crate::name::{Key, MAX_NAME_CHARS, is_name};
use crate::{duration, v1};

/// The characters that a text may have.
pub(super) struct Alphabet {
    /// Whether it has a character.
    pub(super) allows: fn(char) -> bool,
    /// All of them, for the message.
    pub(super) names: &'static str,
}

/// Printable ASCII with the space: what header values and query parameters are matched in.
pub(super) const PRINTABLE: Alphabet = Alphabet {
    allows: |c| matches!(c, ' '..='~'),
    names: "printable ASCII",
};

/// Printable ASCII without the space: what can stand in a URI or a Location.
pub(super) const VISIBLE: Alphabet = Alphabet {
    allows: |c| c.is_ascii_graphic(),
    names: "visible ASCII",
};

/// A resource's own name.
pub(super) fn name(findings: &mut Findings, name: &str) {
    if name.is_empty() {
        findings.refuse("name", "a name is required");
    } else if !is_name(name) {
        findings.refuse("name", not_a_name(name));
    }
}

/// The full name of another resource.
pub(super) fn reference(findings: &mut Findings, field: &str, kind: Kind, name: &str) {
    let form = if kind == Kind::Listener {
        "loadBalancer/listener"
    } else {
        "one name"
    };
    if name.is_empty() {
        findings.refuse(field, format!("a {} is required: {form}", kind.name()));
    } else if let Err(error) = Key::of(kind, name) {
        findings.refuse(field, error.to_string());
    } else if let Some(part) = name.split('/').find(|part| !is_name(part)) {
        findings.refuse(field, not_a_name(part));
    }
}

fn not_a_name(text: &str) -> String {
    format!(
        "'{text}' is not a name: 1 to {MAX_NAME_CHARS} of a-z, 0-9, '-' and '.', with a letter or digit at both ends"
    )
}

/// Tags or placement labels.
pub(super) fn labels(findings: &mut Findings, field: &str, labels: &BTreeMap<String, String>) {
    if labels.len() > limits::TAGS {
        findings.refuse(
            field,
            format!(
                "{} are given, at most {} are allowed",
                labels.len(),
                limits::TAGS
            ),
        );
    }
    for (key, value) in labels {
        findings.inside(&format!("{field}.{key}"), |findings| {
            for (what, text, chars) in [
                ("the key", key, limits::TAG_KEY_CHARS),
                ("the value", value, limits::TAG_VALUE_CHARS),
            ] {
                label_text(findings, what, text, &chars);
            }
        });
    }
}

fn label_text(findings: &mut Findings, what: &str, text: &str, chars: &RangeInclusive<usize>) {
    let count = text.chars().count();
    if !chars.contains(&count) {
        let (low, high) = (chars.start(), chars.end());
        findings.refuse(
            "",
            format!("{what} has {count} characters, {low} to {high} are allowed"),
        );
    }
    let allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
    if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        findings.refuse(
            "",
            format!("{what} has {bad:?}: letters, digits, spaces and _ . : / = + - @ are allowed"),
        );
    }
}

/// A number within bounds.
pub(super) fn range(findings: &mut Findings, field: &str, value: u32, range: &RangeInclusive<u32>) {
    if !range.contains(&value) {
        findings.refuse(field, out_of_range(value, range.start(), range.end()));
    }
}

/// A number for which 0 means that it was not given.
pub(super) fn required_range(
    findings: &mut Findings,
    field: &str,
    value: u32,
    bounds: &RangeInclusive<u32>,
) {
    if value == 0 {
        let (low, high) = (bounds.start(), bounds.end());
        findings.refuse(field, format!("a number is required: {low} to {high}"));
    } else {
        range(findings, field, value, bounds);
    }
}

/// A number that may be left out (0).
pub(super) fn optional_range(
    findings: &mut Findings,
    field: &str,
    value: u32,
    bounds: &RangeInclusive<u32>,
) {
    if value != 0 {
        range(findings, field, value, bounds);
    }
}

/// A duration within bounds, in seconds; gives it if it is.
pub(super) fn seconds(
    findings: &mut Findings,
    field: &str,
    given: Option<&prost_types::Duration>,
    range: &RangeInclusive<u64>,
) -> Option<Duration> {
    let given = given?;
    let (low, high) = (
        Duration::from_secs(*range.start()),
        Duration::from_secs(*range.end()),
    );
    let value = Duration::try_from(*given).ok();
    let inside = value.filter(|value| (low..=high).contains(value));
    if inside.is_none() {
        let (low, high) = (low.as_secs(), high.as_secs());
        findings.refuse(
            field,
            out_of_range(
                duration::format(given),
                format!("{low}s"),
                format!("{high}s"),
            ),
        );
    }
    inside
}

fn out_of_range(value: impl Display, low: impl Display, high: impl Display) -> String {
    format!("{value} is out of range, {low} to {high} are allowed")
}

/// The value of an enum field; one that this version does not know is refused and counts as not given.
pub(super) fn enumeration<E: TryFrom<i32> + Default>(
    findings: &mut Findings,
    field: &str,
    raw: i32,
) -> E {
    E::try_from(raw).unwrap_or_else(|_| {
        findings.refuse(field, format!("the value {raw} is unknown"));
        E::default()
    })
}

/// A protocol that must be given and be among some.
///
/// Gives it if it is known, so that fields that belong to other protocols can be told.
pub(super) fn protocol(
    findings: &mut Findings,
    raw: i32,
    served: &[v1::Protocol],
    what: &str,
) -> Option<v1::Protocol> {
    let known = v1::Protocol::try_from(raw);
    let protocol: v1::Protocol = enumeration(findings, "protocol", raw);
    if protocol == v1::Protocol::Unspecified {
        if known.is_ok() {
            let names: Vec<_> = served.iter().map(v1::Protocol::as_str_name).collect();
            findings.refuse(
                "protocol",
                format!("a protocol is required: {}", names.join(" or ")),
            );
        }
        return None;
    }
    if !served.contains(&protocol) {
        findings.unsupported(
            "protocol",
            &format!("{what} with the protocol {}", protocol.as_str_name()),
        );
    }
    Some(protocol)
}

/// A text of at most so many characters, all of the alphabet.
pub(super) fn text(
    findings: &mut Findings,
    field: &str,
    text: &str,
    max: usize,
    alphabet: &Alphabet,
) {
    let count = text.chars().count();
    if count > max {
        findings.refuse(
            field,
            format!("{count} characters are given, at most {max} are allowed"),
        );
    }
    if let Some(bad) = text.chars().find(|c| !(alphabet.allows)(*c)) {
        findings.refuse(
            field,
            format!(
                "{bad:?} is not allowed in '{}', only {}",
                text.escape_debug(),
                alphabet.names
            ),
        );
    }
}

/// Reports every item of a list whose identity appeared before.
pub(super) fn distinct<T, I: Ord>(
    findings: &mut Findings,
    list: &str,
    items: &[T],
    identity: impl Fn(&T) -> I,
    shown: impl Fn(&T) -> String,
) {
    let mut seen = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        match seen.get(&identity(item)) {
            Some(first) => findings.refuse(
                &format!("{list}[{index}]"),
                format!("'{}' is given already at {list}[{first}]", shown(item)),
            ),
            None => {
                seen.insert(identity(item), index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(check: impl FnOnce(&mut Findings)) -> Vec<String> {
        let mut findings = Findings::default();
        check(&mut findings);
        let violations = findings.into_violations();
        violations
            .into_iter()
            .map(|v| format!("{}: {}", v.field, v.message))
            .collect()
    }

    #[test]
    fn references_have_the_form_of_their_kind() {
        for (kind, name, expected) in [
            (Kind::TargetGroup, "catalog", None),
            (Kind::Listener, "shop/https", None),
            (
                Kind::TargetGroup,
                "",
                Some("f: a TargetGroup is required: one name"),
            ),
            (
                Kind::Listener,
                "",
                Some("f: a Listener is required: loadBalancer/listener"),
            ),
            (
                Kind::Listener,
                "shop",
                Some("f: 'shop' is not the name of a Listener: expected loadBalancer/listener"),
            ),
            (
                Kind::Listener,
                "shop/H",
                Some(
                    "f: 'H' is not a name: 1 to 63 of a-z, 0-9, '-' and '.', with a letter or digit at both ends",
                ),
            ),
        ] {
            let found = found(|findings| reference(findings, "f", kind, name));
            assert_eq!(found, Vec::from_iter(expected), "{name}");
        }
    }

    #[test]
    fn labels_are_bounded() {
        for (key, value, expected) in [
            ("team", "store front", vec![]),
            (
                "",
                "x",
                vec!["tags.: the key has 0 characters, 1 to 128 are allowed"],
            ),
            (
                "a",
                "b;c",
                vec![
                    "tags.a: the value has ';': letters, digits, spaces and _ . : / = + - @ are allowed",
                ],
            ),
        ] {
            let given = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            assert_eq!(found(|findings| labels(findings, "tags", &given)), expected);
        }
        let given = BTreeMap::from([("k".repeat(129), "v".repeat(257))]);
        assert_eq!(found(|findings| labels(findings, "t", &given)).len(), 2);
        let given = (0..51).map(|n| (format!("k{n}"), String::new())).collect();
        let found = found(|findings| labels(findings, "tags", &given));
        assert_eq!(found, ["tags: 51 are given, at most 50 are allowed"]);
    }

    #[test]
    fn durations_stay_within_their_range() {
        for (seconds, nanos, expected) in [
            (1, 0, None),
            (4000, 0, None),
            (
                0,
                999_999_999,
                Some("d: 0.999999999s is out of range, 1s to 4000s are allowed"),
            ),
            (
                4000,
                1,
                Some("d: 4000.000000001s is out of range, 1s to 4000s are allowed"),
            ),
            (
                -1,
                0,
                Some("d: -1s is out of range, 1s to 4000s are allowed"),
            ),
        ] {
            let given = prost_types::Duration { seconds, nanos };
            let found = found(|findings| {
                super::seconds(findings, "d", Some(&given), &(1..=4000));
            });
            assert_eq!(found, Vec::from_iter(expected));
        }
    }
}
