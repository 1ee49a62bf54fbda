//! What an agent says about itself and its refusals, within bounds: it is kept in the roster.

use inlet_proto::digest::Digest;
use inlet_proto::name::is_name;
use inlet_proto::v1;

use crate::fleet::roster::Introduction;
use crate::view::View;

/// Labels of an agent at most.
const MAX_LABELS: usize = 32;
/// Longest name of a label, in bytes.
const MAX_LABEL_NAME_BYTES: usize = 128;
/// Longest value of a label, in bytes.
const MAX_LABEL_VALUE_BYTES: usize = 256;
/// Longest version, in bytes.
const MAX_VERSION_BYTES: usize = 64;
/// Reasons of a refusal that are kept.
const MAX_REASONS: usize = 20;
/// Longest text of a reason that is kept, in bytes.
const MAX_REASON_BYTES: usize = 512;

/// A Hello that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub(crate) struct BadHello {
    /// Which field of it.
    pub(crate) field: &'static str,
    /// What is wrong and what would be right.
    pub(crate) message: String,
}

/// Who the agent is.
pub(crate) fn check(hello: v1::Hello, peer: &str) -> Result<Introduction, BadHello> {
    let argument = |field, message: String| Err(BadHello { field, message });
    if !is_name(&hello.name) {
        let form = "must be 1 to 63 characters of the form [a-z0-9]([a-z0-9-.]*[a-z0-9])?";
        return argument("hello.name", form.to_owned());
    }
    let fits = |(name, value): (&String, &String)| {
        !name.is_empty()
            && name.len() <= MAX_LABEL_NAME_BYTES
            && value.len() <= MAX_LABEL_VALUE_BYTES
    };
    if hello.labels.len() > MAX_LABELS || !hello.labels.iter().all(fits) {
        let message = format!(
            "must be at most {MAX_LABELS}, names of 1 to {MAX_LABEL_NAME_BYTES} and values of at most \
             {MAX_LABEL_VALUE_BYTES} bytes"
        );
        return argument("hello.labels", message);
    }
    if hello.version.len() > MAX_VERSION_BYTES {
        return argument(
            "hello.version",
            format!("must be at most {MAX_VERSION_BYTES} bytes"),
        );
    }
    Ok(Introduction {
        name: hello.name,
        labels: hello.labels,
        version: hello.version,
        revision: hello.revision,
        peer: peer.to_owned(),
    })
}

/// What the agent has in force by its own words, as far as they can be true; 0 = nothing.
///
/// A revision that does not exist yet, or the current one with another content, is of another history. Of an older
/// one nobody knows any more; it counts as less than what is wanted in any case.
pub(crate) fn credible(revision: u64, digest: Option<Digest>, view: &View) -> u64 {
    let is_current = revision == view.revision() && digest == Some(view.digest());
    if is_current || revision < view.revision() {
        revision
    } else {
        0
    }
}

/// A second Hello on the stream says something else.
pub(crate) fn changed(field: &'static str) -> BadHello {
    BadHello {
        field,
        message: "must not change while the stream is open".to_owned(),
    }
}

/// The first reasons, with texts of bounded length.
pub(crate) fn shorten(mut reasons: Vec<v1::refusal::Reason>) -> Vec<v1::refusal::Reason> {
    keep_first(&mut reasons, MAX_REASONS);
    for reason in &mut reasons {
        let end = reason.message.floor_char_boundary(MAX_REASON_BYTES);
        reason.message.truncate(end);
        // A key that is no resource's could have any length.
        let key = reason.key.as_ref();
        if key.is_some_and(|key| key.kind.len() + key.name.len() > MAX_REASON_BYTES) {
            reason.key = None;
        }
    }
    reasons
}

/// Leaves the first reasons, and one that says how many more there are.
pub(crate) fn keep_first(reasons: &mut Vec<v1::refusal::Reason>, most: usize) {
    let more = reasons.len().saturating_sub(most);
    if more > 0 {
        reasons.truncate(most);
        reasons.push(v1::refusal::Reason {
            key: None,
            message: format!("and {more} more"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(name: &str, labels: usize, version: &str) -> v1::Hello {
        v1::Hello {
            name: name.to_owned(),
            labels: (0..labels)
                .map(|number| (format!("l{number}"), String::new()))
                .collect(),
            version: version.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn introductions_are_bounded() {
        assert!(check(hello("edge-1", 2, "0.1.0"), "peer").is_ok());
        for bad in [
            hello("", 0, ""),
            hello("Edge", 0, ""),
            hello("edge-1", MAX_LABELS + 1, ""),
            hello("edge-1", 0, &"x".repeat(MAX_VERSION_BYTES + 1)),
        ] {
            assert!(check(bad, "peer").is_err());
        }
    }

    #[test]
    fn only_what_can_be_true_counts_as_in_force() {
        let view = crate::view::testing::view(7, &[("web".to_owned(), 3)].into());
        let [right, other] = [view.digest(), Digest::default()];
        for (revision, digest, expected) in [
            (0, None, 0),
            (6, Some(other), 6),
            (7, Some(right), 7),
            (7, Some(other), 0),
            (7, None, 0),
            (8, Some(right), 0),
        ] {
            assert_eq!(credible(revision, digest, &view), expected, "{revision}");
        }
    }

    #[test]
    fn reasons_are_bounded_and_say_what_is_missing() {
        let reason = v1::refusal::Reason {
            key: None,
            message: "é".repeat(MAX_REASON_BYTES),
        };
        let reasons = shorten(vec![reason; MAX_REASONS + 5]);
        assert_eq!(reasons.len(), MAX_REASONS + 1);
        assert_eq!(reasons[0].message.len(), MAX_REASON_BYTES);
        assert_eq!(reasons[MAX_REASONS].message, "and 5 more");
    }
}
