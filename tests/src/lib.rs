//! The harness of the end-to-end tests: real programs, random ports, the ready line as signal.
//!
//! - [`World`]: a control plane and agents as processes, with `lbctl` and gRPC to talk to them.
//! - [`origin`]: scriptable backends (HTTP, TCP, WebSocket); [`client`]: a raw HTTP/1 client that hides nothing.
//! - [`manifest`]: the documents that tests apply; [`eventually`]: a condition with a deadline instead of a sleep.
//! - [`process`], [`programs`], [`ports`], [`need`]: what the others are made of.
//!
//! Nothing here asserts what Inlet should do: the promises stand in `e2e/`.

pub mod client;
pub mod eventually;
pub mod manifest;
pub mod need;
pub mod origin;
pub mod ports;
pub mod process;
pub mod programs;
pub mod world;

pub use client::{Connection, Response};
pub use eventually::eventually;
pub use need::need;
pub use origin::Origin;
pub use process::{Output, Process};
pub use world::World;
