//! The immutable form that the hot path reads: what [`compile`](crate::compile) makes of one snapshot.
//!
//! A table is built aside and swapped in whole; nobody edits one that a reader may hold. It knows no messages, no
//! sockets and no clock. What changes while a table is in force (health, counters, requests in flight) is in
//! [`live`], behind `Arc`s that successive tables share.
//!
//! Invariant: a request, or a connection below HTTP, is decided by exactly one table.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::live;

pub mod router;
#[cfg(test)]
pub(crate) mod testing;

pub use router::Router;

/// Index of a listener in [`Table::listeners`]; the same listener keeps its index in every later table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u32);

/// Index of a target group in [`Table::groups`]; the same group keeps its index in every later table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// Everything that one revision says about this host.
///
/// Shape: both vectors are indexed by id and have holes where something was removed. Entries that a change does not
/// touch are the same `Arc` as in the table before.
#[derive(Debug, Default)]
pub struct Table {
    /// The revision that it was compiled from; 0 = the empty table at start.
    pub revision: u64,
    /// By [`ListenerId`].
    pub listeners: Vec<Option<Arc<Listener>>>,
    /// By [`GroupId`].
    pub groups: Vec<Option<Arc<Group>>>,
}

impl Table {
    /// The listener, unless it is gone.
    pub fn listener(&self, id: ListenerId) -> Option<&Arc<Listener>> {
        self.listeners.get(id.0 as usize)?.as_ref()
    }

    /// The group. Compiling guarantees that every id in a forward action leads to one.
    pub fn group(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.groups.get(id.0 as usize)?.as_ref()
    }
}

/// One port of a load balancer on this host.
#[derive(Debug)]
pub struct Listener {
    /// Its place in the table.
    pub id: ListenerId,
    /// `loadBalancer/listener`.
    pub name: Arc<str>,
    /// Name of its load balancer.
    pub load_balancer: Arc<str>,
    /// What to bind, without duplicates; all have the same port.
    pub addresses: Box<[SocketAddr]>,
    /// Port of all addresses.
    pub port: u16,
    /// How its connections are served.
    pub service: Service,
    /// Its counters.
    pub live: Arc<live::Listener>,
}

/// How the connections of a listener are served.
#[derive(Debug)]
pub enum Service {
    /// HTTP/1.1 with rules.
    Http(Box<HttpService>),
    /// Bytes, relayed.
    Tcp(TcpService),
}

/// An HTTP listener.
#[derive(Debug)]
pub struct HttpService {
    /// Rules and the default action.
    pub router: Arc<Router>,
    /// Longest time without a byte, on the client's and on the target's side each.
    pub idle_timeout: Duration,
    /// Longest life of a client connection; one more request is served after it.
    pub client_keep_alive: Duration,
    /// Remove headers whose name is not `[-A-Za-z0-9]+`.
    pub drop_invalid_header_fields: bool,
    /// Forward Host byte for byte.
    pub preserve_host_header: bool,
    /// What happens to X-Forwarded-For.
    pub x_forwarded_for: XForwardedFor,
}

/// Treatment of X-Forwarded-For (specification: application load balancer, 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XForwardedFor {
    /// Add the client's address.
    Append {
        /// With its port.
        client_port: bool,
    },
    /// As it came.
    Preserve,
    /// Taken out.
    Remove,
}

/// A TCP listener.
#[derive(Debug)]
pub struct TcpService {
    /// Where its connections go.
    pub forward: Forward,
    /// Longest time without a byte; then both sides are reset.
    pub idle_timeout: Duration,
}

/// What is done with a request (specification: application load balancer, 7.3).
#[derive(Debug, Clone)]
pub enum Action {
    /// Send it to a target.
    Forward(Forward),
    /// Answer with a Location.
    Redirect(Box<Redirect>),
    /// Answer with a fixed status and body.
    FixedResponse(Box<FixedResponse>),
}

/// Target groups and their shares.
///
/// Shape: 1 to 5 groups; weights 0..=999; all zero = nobody (503).
#[derive(Debug, Clone)]
pub struct Forward {
    /// Group and weight.
    pub groups: Box<[(GroupId, u32)]>,
    /// Sum of the weights.
    pub total_weight: u32,
}

/// A redirect; each part is text with `#{...}` keywords already split.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// 301 or 302.
    pub status: u16,
    /// Scheme of the Location.
    pub protocol: Template,
    /// Host of the Location.
    pub host: Template,
    /// Port of the Location.
    pub port: Template,
    /// Path of the Location, with its leading `/`.
    pub path: Template,
    /// Query of the Location; an empty result is left out with its `?`.
    pub query: Template,
}

/// Text with the request's parts in it.
pub type Template = Box<[TemplatePart]>;

/// One piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// As written.
    Literal(Box<str>),
    /// `#{protocol}`: `http` or `https`.
    Protocol,
    /// `#{host}`: without the port.
    Host,
    /// `#{port}`.
    Port,
    /// `#{path}`: without its leading `/`.
    Path,
    /// `#{query}`: without its leading `?`.
    Query,
}

/// A fixed answer.
#[derive(Debug, Clone)]
pub struct FixedResponse {
    /// 200..=599.
    pub status: u16,
    /// Content-Type; empty = none.
    pub content_type: Box<str>,
    /// At most 1024 characters.
    pub body: Box<str>,
}

/// A target group in use on this host.
#[derive(Debug)]
pub struct Group {
    /// Its place in the table.
    pub id: GroupId,
    /// Its name.
    pub name: Arc<str>,
    /// How a target is chosen.
    pub algorithm: Algorithm,
    /// How long requests and connections to a deregistered target may go on.
    pub deregistration_delay: Duration,
    /// Below HTTP: close what is left at the end of the delay.
    pub connection_termination: bool,
    /// How health is found out.
    pub health_check: HealthCheck,
    /// The targets, in the order of their names, with what is known of them now.
    pub pool: Arc<live::Pool>,
    /// Its counters.
    pub live: Arc<live::Group>,
}

/// How a target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// In turn, by weight.
    RoundRobin,
    /// Fewest requests in flight in relation to the weight.
    LeastOutstandingRequests,
    /// By hash of the flow (below HTTP).
    FlowHash,
}

/// How the health of a group's targets is found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// Port to ask; `None` = the target's own.
    pub port: Option<u16>,
    /// Time from one check to the next.
    pub interval: Duration,
    /// Longest time for one check.
    pub timeout: Duration,
    /// Passed checks in a row that make an unhealthy target healthy.
    pub healthy_threshold: u32,
    /// Failed checks in a row that make a target unhealthy.
    pub unhealthy_threshold: u32,
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A TCP handshake.
    Tcp,
    /// `GET path`, HTTP/1.1.
    Http {
        /// Path and query.
        path: Box<str>,
        /// Statuses that pass: inclusive ranges.
        matcher: Box<[(u16, u16)]>,
    },
}
