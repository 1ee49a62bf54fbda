//! The harness of the end-to-end tests and of the long runs: real programs, random ports, the ready line as signal.
//!
//! - [`World`]: a control plane and agents as processes, with `lbctl` and gRPC to talk to them.
//! - [`origin`]: scriptable backends (HTTP, TCP, WebSocket); [`client`]: a raw HTTP/1 client that hides nothing;
//!   [`Talk`]: a WebSocket client.
//! - [`load`]: clients that ask on and on and count what goes wrong; [`live`]: changes while they do.
//! - [`manifest`]: the documents that tests apply; [`eventually`]: a condition with a deadline instead of a sleep.
//! - [`process`], [`programs`], [`ports`], [`need`]: what the others are made of.
//! - [`latencies`], [`memory`], [`timing`]: what is measured. [`fuzz`]: hostile bytes. [`prove`]: the long runs, each with a table of figures and bounds.
//!
//! Nothing here but [`prove`] and [`fuzz`] asserts what Inlet should do: the promises stand in `e2e/`.

pub mod client;
pub mod eventually;
pub mod fuzz;
pub mod latencies;
pub mod live;
pub mod load;
pub mod manifest;
pub mod memory;
pub mod need;
pub mod origin;
pub mod ports;
pub mod process;
pub mod programs;
pub mod prove;
pub mod talk;
pub mod timing;
pub mod world;

pub use client::{Connection, Response};
pub use eventually::eventually;
pub use latencies::Latencies;
pub use need::need;
pub use origin::Origin;
pub use process::{Output, Process};
pub use talk::Talk;
pub use world::World;
