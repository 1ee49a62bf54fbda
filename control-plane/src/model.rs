//! The configuration as values: all resources at one revision ([`State`]), what is asked for ([`Change`]), and
//! whether it may be ([`admit()`]). Pure: time and identifiers arrive as arguments, nothing here does I/O.
//!
//! What one message must be is `inlet_proto::check`'s business; here is what all of them together must be.
//! `plan` lays a change out, `judge` with `clash`, `protocols` and `quotas` looks at what it would make.

mod admit;
mod change;
mod clash;
mod judge;
mod ordered;
mod plan;
mod protocols;
mod quotas;
mod redact;
mod references;
mod state;
#[cfg(test)]
mod tests;
mod violation;

pub(crate) use admit::{Admitted, Terms, admit};
pub(crate) use change::{Change, Changed, Upsert};
pub(crate) use quotas::Quotas;
pub(crate) use redact::{redact, redact_change};
pub(crate) use state::{State, with_targets};
pub(crate) use violation::{Violation, ViolationKind};
