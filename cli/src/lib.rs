//! `lbctl`, as a library (placeholder).
