//! Idle connections to targets (placeholder until helper http's file is here).

/// Idle connections of one worker.
#[derive(Debug, Default)]
pub struct Upstreams {}
