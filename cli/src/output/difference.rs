//! Changes of resources as lines and as unified diffs of their manifests.

use inlet_proto::v1::resource_change::Operation;
use inlet_proto::{manifest, v1};
use similar::TextDiff;

use super::style::{Style, Tone};
use super::{clean, form};

/// Lines around a change.
const CONTEXT_LINES: usize = 3;
/// The side of a resource that is not there.
const NOTHING: &str = "/dev/null";

/// What was done, in a word.
pub(crate) fn word(operation: Operation) -> (&'static str, Tone) {
    match operation {
        Operation::Unspecified => ("?", Tone::Plain),
        Operation::Created => ("created", Tone::Good),
        Operation::Changed => ("changed", Tone::Moving),
        Operation::Unchanged => ("unchanged", Tone::Faint),
        Operation::Deleted => ("deleted", Tone::Bad),
    }
}

/// `created LoadBalancer/shop`.
pub(crate) fn line(change: &v1::ResourceChange, style: Style) -> String {
    let (word, tone) = word(change.operation());
    format!("{} {}", style.paint(tone, word), clean(&name(change)))
}

/// `changed Listener/shop/http`, or how many were created, changed and deleted.
pub(crate) fn summary(changes: &[v1::ResourceChange]) -> String {
    if let [change] = changes {
        return line(change, Style::new(false));
    }
    let number = |operation| {
        changes
            .iter()
            .filter(|change| change.operation() == operation)
            .count()
    };
    let counts = [Operation::Created, Operation::Changed, Operation::Deleted]
        .map(|one| (number(one), word(one).0));
    let counts = counts.iter().filter(|(number, _)| *number > 0);
    let counts: Vec<_> = counts
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    if counts.is_empty() {
        "nothing".to_owned()
    } else {
        counts.join(", ")
    }
}

/// The diff of one resource; `sides` say what before and after are. Empty if it stays as it is.
pub(crate) fn diff(change: &v1::ResourceChange, sides: [&str; 2], style: Style) -> String {
    if change.operation() == Operation::Unchanged {
        return String::new();
    }
    let text = |side: &Option<v1::Resource>| {
        side.as_ref()
            .map_or_else(String::new, |one| manifest::to_yaml(one, false))
    };
    let (before, after) = (text(&change.before), text(&change.after));
    let name = name(change);
    let label = |side: &Option<v1::Resource>, what: &str| match side {
        Some(_) => format!("{name} ({what})"),
        None => NOTHING.to_owned(),
    };
    let (from, to) = (
        label(&change.before, sides[0]),
        label(&change.after, sides[1]),
    );
    if before == after {
        // Only what is not printed is different: a secret, or another resource of the same name.
        return format!(
            "--- {}\n+++ {}\n(differs in what is not shown)\n",
            clean(&from),
            clean(&to)
        );
    }
    let diff = TextDiff::from_lines(&before, &after);
    let text = diff
        .unified_diff()
        .context_radius(CONTEXT_LINES)
        .missing_newline_hint(false)
        .header(&from, &to)
        .to_string();
    paint(&clean(&text), style)
}

/// The diffs of all that change.
pub(crate) fn diffs(changes: &[v1::ResourceChange], sides: [&str; 2], style: Style) -> String {
    changes
        .iter()
        .map(|change| diff(change, sides, style))
        .collect()
}

fn name(change: &v1::ResourceChange) -> String {
    change.key.as_ref().map(form::key).unwrap_or_default()
}

fn paint(diff: &str, style: Style) -> String {
    let mut painted = String::with_capacity(diff.len());
    for line in diff.lines() {
        let tone = match line.as_bytes() {
            [b'-', b'-', b'-', b' ', ..] | [b'+', b'+', b'+', b' ', ..] => Tone::Heading,
            [b'@', ..] => Tone::Faint,
            [b'-', ..] => Tone::Bad,
            [b'+', ..] => Tone::Good,
            _ => Tone::Plain,
        };
        painted.push_str(&style.paint(tone, line));
        painted.push('\n');
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(port: u32) -> v1::Resource {
        v1::Resource::from(v1::TargetGroup {
            name: "catalog".to_owned(),
            protocol: v1::Protocol::Http.into(),
            port,
            ..Default::default()
        })
    }

    fn change(operation: Operation, before: Option<u32>, after: Option<u32>) -> v1::ResourceChange {
        v1::ResourceChange {
            key: Some(v1::ResourceKey {
                kind: "TargetGroup".to_owned(),
                name: "catalog".to_owned(),
            }),
            operation: operation.into(),
            before: before.map(group),
            after: after.map(group),
        }
    }

    #[test]
    fn a_diff_is_that_of_the_manifests() {
        let cases = [
            (
                change(Operation::Changed, Some(80), Some(81)),
                "--- TargetGroup/catalog (revision 1)\n+++ TargetGroup/catalog (revision 2)\n@@ -1,4 +1,4 @@\n kind: TargetGroup\n name: catalog\n protocol: HTTP\n-port: 80\n+port: 81\n",
            ),
            (
                change(Operation::Created, None, Some(80)),
                "--- /dev/null\n+++ TargetGroup/catalog (revision 2)\n@@ -0,0 +1,4 @@\n+kind: TargetGroup\n+name: catalog\n+protocol: HTTP\n+port: 80\n",
            ),
            (
                change(Operation::Deleted, Some(80), None),
                "--- TargetGroup/catalog (revision 1)\n+++ /dev/null\n@@ -1,4 +0,0 @@\n-kind: TargetGroup\n-name: catalog\n-protocol: HTTP\n-port: 80\n",
            ),
            (change(Operation::Unchanged, Some(80), Some(80)), ""),
            (
                change(Operation::Changed, Some(80), Some(80)),
                "--- TargetGroup/catalog (revision 1)\n+++ TargetGroup/catalog (revision 2)\n(differs in what is not shown)\n",
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(
                diff(&change, ["revision 1", "revision 2"], Style::new(false)),
                expected
            );
        }
    }

    #[test]
    fn colours_follow_the_sides() {
        let change = change(Operation::Changed, Some(80), Some(81));
        let text = diff(&change, ["a", "b"], Style::new(true));
        assert!(text.contains("\u{1b}[31m-port: 80\u{1b}[0m"), "{text}");
        assert!(text.contains("\u{1b}[32m+port: 81\u{1b}[0m"), "{text}");
    }

    #[test]
    fn summaries_name_one_and_count_many() {
        let created = change(Operation::Created, None, Some(80));
        let deleted = change(Operation::Deleted, Some(80), None);
        assert_eq!(
            summary(std::slice::from_ref(&created)),
            "created TargetGroup/catalog"
        );
        assert_eq!(
            summary(&[created.clone(), created.clone(), deleted]),
            "2 created, 1 deleted"
        );
        assert_eq!(summary(&[]), "nothing");
    }
}
