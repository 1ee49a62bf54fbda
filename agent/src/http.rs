//! HTTP/1.1, both sides: the engine.
//!
//! Follow a request: [`connection`] (one task per client) -> `client` (waits for a head, takes the table) -> `exchange`
//! (head judged by [`request`], then rule, target, connection, both directions) -> `record` (counted and logged once).
//! [`forward`] writes the head for the target, [`response`] judges what comes back, [`respond`] is failure -> response,
//! [`failure`] says whether to try again. [`pool`] keeps idle connections to targets.
//!
//! [`request`], [`target`], [`forward`], [`response`], [`head`], [`chunked`], [`trace`], [`redirect`], [`failure`] and
//! [`respond`] are pure. Invariant: what could be framed in two ways goes neither to a target nor to a client.

pub mod body;
pub mod buffer;
pub mod chunked;
mod client;
pub mod connection;
mod exchange;
pub mod failure;
pub mod forward;
pub mod head;
pub mod pool;
mod record;
pub mod redirect;
pub mod request;
pub mod respond;
pub mod response;
pub mod target;
pub mod trace;

pub use connection::serve;

#[cfg(test)]
mod tests;
