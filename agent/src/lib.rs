//! The agent: forwards traffic on an edge host, as the control plane says.
//!
//! Everything begins in [`start`](start::start).
//! Follow a change: [`discovery`] (the stream) -> [`discovery::apply`]: [`compile`] (resources -> [`table`], or every
//! reason why not), [`edge`] (bind what is new, swap the table into every worker) -> [`discovery::keep`] -> Ack.
//! Follow a request: [`edge`] accepts -> [`http`] or [`l4`] takes the connection -> [`matching`] finds the rule ->
//! [`balance`] picks the target -> the exchange -> [`access_log`] and [`live`] counters, once, at the end.
//!
//! Beside these: [`health`] judges targets, [`live`] is what outlives a table, [`metrics`] counts, [`admin`] shows it
//! all.

pub mod access_log;
pub mod admin;
pub mod balance;
pub mod compile;
pub mod config;
pub mod digits;
pub mod discovery;
pub mod edge;
pub mod health;
pub mod http;
pub mod l4;
pub mod live;
pub mod matching;
pub mod metrics;
pub mod start;
pub mod table;
