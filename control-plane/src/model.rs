//! The configuration as values: all resources at one revision ([`State`]), what is asked for ([`Change`]), and
//! whether it may be ([`admit`]). Pure: time and identifiers arrive as arguments, nothing here does I/O.
//!
//! What one message must be is `inlet_proto::check`'s business; here is what all of them together must be.

mod admit;
mod candidate;
mod change;
mod diff;
mod ordered;
mod quotas;
mod references;
mod state;
#[cfg(test)]
mod tests;
mod violation;

pub(crate) use admit::{Admitted, Terms, admit};
pub(crate) use change::{Change, Changed, Upsert};
pub(crate) use diff::diff;
pub(crate) use quotas::Quotas;
pub(crate) use state::{State, with_targets};
pub(crate) use violation::{Violation, ViolationKind};
