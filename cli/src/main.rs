//! `lbctl` (placeholder).
fn main() {}
