//! The control side.
pub mod exchange;
