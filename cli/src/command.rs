//! One file per command, named as typed.

pub mod demo;
