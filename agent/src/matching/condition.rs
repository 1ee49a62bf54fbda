//! Does one condition hold? (application load balancer, 7.2)

use super::Headers;
use super::subject::Subject;
use crate::table::router::{Condition, Pattern};

/// Whether any value of the condition matches the request.
pub(super) fn holds<H: Headers>(condition: &Condition, subject: &Subject<'_, H>) -> bool {
    match condition {
        Condition::Host(patterns) => subject.host().is_some_and(|host| any(patterns, host)),
        Condition::Path(patterns) => subject.path().is_some_and(|path| any(patterns, path)),
        Condition::Header { name, values } => subject.has_header(name, |value| any(values, value)),
        Condition::Method(methods) => methods.iter().any(|method| **method == *subject.method()),
        Condition::Query(pairs) => pairs.iter().any(|(name, value)| {
            subject.parameters().any(|(given_name, given_value)| {
                name.as_ref().is_none_or(|name| name.matches(given_name))
                    && value.matches(given_value)
            })
        }),
        Condition::Source(nets) => nets.iter().any(|net| net.contains(&subject.source())),
    }
}

fn any(patterns: &[Pattern], text: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}
