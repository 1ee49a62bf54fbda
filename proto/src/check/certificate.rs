//! Certificate: known to the language, not served yet, so everything else about it stays unsaid.

use super::findings::Findings;
use crate::v1;

pub(super) fn check(findings: &mut Findings, _certificate: &v1::Certificate) {
    findings.unsupported("", "kind Certificate");
}
