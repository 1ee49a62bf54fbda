//! Leaves secrets out of what is answered.

use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

/// Removes the secrets of a resource.
pub(crate) fn redact(resource: &mut v1::Resource) {
    if let Some(Body::Certificate(certificate)) = &mut resource.kind {
        certificate.private_key.clear();
    }
}

/// Removes the secrets of both sides of a change.
pub(crate) fn redact_change(change: &mut v1::ResourceChange) {
    change.before.as_mut().map(redact);
    change.after.as_mut().map(redact);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_left_out_on_both_sides_and_nothing_else() {
        let certificate = |private_key: &str| v1::Certificate {
            name: "shop".to_owned(),
            certificate_chain: "chain".to_owned(),
            private_key: private_key.to_owned(),
            ..Default::default()
        };
        let mut change = v1::ResourceChange {
            before: Some(certificate("old secret").into()),
            after: Some(certificate("new secret").into()),
            ..Default::default()
        };
        redact_change(&mut change);
        assert_eq!(change.before, Some(certificate("").into()));
        assert_eq!(change.after, Some(certificate("").into()));
        let mut created = v1::ResourceChange::default();
        redact_change(&mut created);
        assert_eq!(created, v1::ResourceChange::default());
    }
}
