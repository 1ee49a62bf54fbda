//! The matcher of a health check: which statuses pass (specification: application load balancer, 9.7).

use std::ops::RangeInclusive;

/// Statuses that a matcher may name at all; HTTP groups take less (see `limits`).
const STATUSES: RangeInclusive<u16> = 200..=599;

/// A list of statuses and ranges of statuses: `200`, `200,202`, `200-299,301`.
///
/// Shape: at least one range, each within 200 to 599.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher(Vec<RangeInclusive<u16>>);

/// Why a text is no matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// One part between commas is neither a status nor a range.
    #[error("'{part}' is not a status such as 200 or a range such as 200-299")]
    Syntax {
        /// As written.
        part: String,
    },
    /// A range from high to low.
    #[error("the range '{part}' ends before it begins")]
    Reversed {
        /// As written.
        part: String,
    },
    /// A status out of bounds.
    #[error("{status} is out of range, {} to {} are allowed", STATUSES.start(), STATUSES.end())]
    Range {
        /// As written.
        status: u16,
    },
}

impl Matcher {
    /// Reads a list such as `200-299,301`; blanks around the parts are allowed.
    ///
    /// Errors: the first part that does not fit.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        text.split(',')
            .map(|part| range(part.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a status passes. Cost: one comparison per range.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }

    /// The statuses that pass, as ranges in the order in which they were written.
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.0
    }

    /// The highest status that passes.
    pub fn highest(&self) -> u16 {
        self.0
            .iter()
            .map(|range| *range.end())
            .max()
            .unwrap_or_default()
    }
}

fn range(part: &str) -> Result<RangeInclusive<u16>, MatcherError> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Err(MatcherError::Syntax {
            part: part.to_owned(),
        });
    };
    if last < first {
        return Err(MatcherError::Reversed {
            part: part.to_owned(),
        });
    }
    match [first, last]
        .into_iter()
        .find(|status| !STATUSES.contains(status))
    {
        Some(status) => Err(MatcherError::Range { status }),
        None => Ok(first..=last),
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_name_statuses_and_ranges() {
        let matcher = Matcher::parse("200-299, 301").unwrap();
        for (status, passes) in [
            (199, false),
            (200, true),
            (299, true),
            (300, false),
            (301, true),
            (302, false),
        ] {
            assert_eq!(matcher.contains(status), passes, "{status}");
        }
        assert_eq!(matcher.highest(), 301);
        assert_eq!(matcher.ranges(), [200..=299, 301..=301]);
    }

    #[test]
    fn bad_matchers_say_which_part() {
        for (text, message) in [
            (
                "",
                "'' is not a status such as 200 or a range such as 200-299",
            ),
            (
                "200,",
                "'' is not a status such as 200 or a range such as 200-299",
            ),
            (
                "2xx",
                "'2xx' is not a status such as 200 or a range such as 200-299",
            ),
            (
                "200-",
                "'200-' is not a status such as 200 or a range such as 200-299",
            ),
            (
                "+20",
                "'+20' is not a status such as 200 or a range such as 200-299",
            ),
            ("299-200", "the range '299-200' ends before it begins"),
            ("200,199", "199 is out of range, 200 to 599 are allowed"),
            ("600", "600 is out of range, 200 to 599 are allowed"),
        ] {
            assert_eq!(
                Matcher::parse(text).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
    }
}
