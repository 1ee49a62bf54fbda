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
