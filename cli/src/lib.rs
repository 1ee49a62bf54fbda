//! `lbctl`, as a library.

pub mod command;
