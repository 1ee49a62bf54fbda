//! The parts together: real programs, real clients, one module per feature. Every test is a promise to a user.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod agent_alone;
mod api;
mod atomic;
mod demo;
mod disk;
mod durability;
mod health;
mod http;
mod http_statuses;
mod import_directions;
mod lbctl_output;
mod listeners;
mod live_change;
mod main_job;
mod metrics_and_logs;
mod nack;
mod revisions;
mod rules;
mod shutdown;
mod targets;
mod tcp;
mod websocket;
mod wrong_use;
