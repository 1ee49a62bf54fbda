//! The one place where Inlet's configuration lives, as a library: `main.rs` and `lbctl demo` call [`start::start`].
//!
//! A change travels through these modules in this order:
//! - `api`: gRPC, and `/metrics`, `/healthz`, `/readyz`; authenticates, decodes, calls the writer.
//! - `writer`: the one writer. Admits, makes durable, publishes; gives out revisions.
//! - `model`: all resources at one revision, and what change may make the next (pure).
//! - `store`: where revisions are kept: in sled beside a journal of our own, or in memory. `history`: those kept.
//! - `view`: what one agent must have, and what differs between two revisions (pure).
//! - `fleet`: the agents and their streams; `observed`: what they report, merged.
//!
//! Beside these, `simulation` lends the same parts to the seeded simulation, without runtime and clock.
//!
//! Invariants: an acknowledged change survives any crash; no change is ever half there; revisions rise by one, and
//! only the writer gives them out.

mod api;
pub mod config;
mod fleet;
mod history;
mod model;
mod observed;
#[doc(hidden)]
pub mod simulation;
pub mod start;
mod store;
#[cfg(test)]
mod testing;
mod view;
mod writer;
