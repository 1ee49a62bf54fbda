//! Below HTTP: TCP listeners relay bytes between one client and one target.
//!
//! [`serve`] takes an accepted connection; [`relay`] and [`pipe`] also serve HTTP's Upgrade and large bodies.

pub mod dial;
pub mod pipe;
pub mod receive;
mod record;
pub mod relay;
mod service;

pub use service::serve;
