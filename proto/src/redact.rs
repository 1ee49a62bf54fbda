//! Leaves secrets out of what is shown: by the API, by an agent's pages.

use crate::v1;
use crate::v1::resource::Kind as Body;

/// Removes the secrets of a resource.
pub fn redact(resource: &mut v1::Resource) {
    if let Some(Body::Certificate(certificate)) = &mut resource.kind {
        certificate.private_key.clear();
    }
}
