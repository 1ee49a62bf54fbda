//! Below HTTP: TCP listeners relay bytes between one client and one target.

pub mod pipe;
pub mod relay;
