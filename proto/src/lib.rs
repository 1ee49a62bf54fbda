//! The language that all parts of Inlet speak.
//!
//! - [`v1`]: the messages and services of `inlet/v1/*.proto`, generated.
//! - [`kind`]: the table of kinds; [`name`]: how resources are addressed, parsed, printed.
//! - [`manifest`]: documents <-> messages, with line numbers and near-miss hints.
//! - [`check`]: is one message well-formed? [`defaults`]: what a field means when it is absent.
//! - [`duration`]: durations as people write them.
//! - [`details`]: what an error of the API says beyond its status code.
//! - [`digest`]: the digest that both ends of the discovery stream compute.
//!
//! Only pure functions live here: no runtime, socket, file or clock.

/// The generated messages and services of package `inlet.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    elided_lifetimes_in_paths,
    clippy::all,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("inlet.v1");
}

pub mod check;
pub mod defaults;
pub mod details;
pub mod digest;
pub mod duration;
pub mod kind;
pub mod manifest;
pub mod name;

/// The compiled descriptors of `inlet/v1/*.proto`, for gRPC reflection and the manifest reader.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
