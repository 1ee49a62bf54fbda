//! The stream to the control plane: opens it, again and again if need be, and carries messages both ways.
//!
//! The only module that names the RPC framework. What the messages mean is the [`exchange`](super::exchange)'s matter,
//! when to try again the [`retry`](super::retry)'s.
//!
//! ```text
//! Resting --time is over--> Opening --ok--> Open (Event::Open) --loss--> Resting (Event::Lost)
//!                              |---loss--> Resting
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use fastrand::Rng;
use inlet_proto::v1;
use inlet_proto::v1::agent_discovery_client::AgentDiscoveryClient;
use inlet_proto::v1::control_message::Kind as Said;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};

use super::exchange::CloseReason;
use super::retry::{Loss, Retry, SETTLED_AFTER, Tell};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the control plane may take to accept the stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may not read what is said to it.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// A sign of life is asked for this often, ...
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// ... and must come within this.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest message from the control plane. Its parts are smaller, unless one resource alone is larger.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Messages that wait until the transport takes them.
const OUTGOING: usize = 8;

/// What happens on the stream.
#[derive(Debug)]
pub enum Event {
    /// It is open; nothing was said yet.
    Open,
    /// The control plane has sent this.
    Snapshot(v1::Snapshot),
    /// It is gone; another one will be opened.
    Lost,
}

/// The URL cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(String);

/// The stream, or the wait for one.
#[derive(Debug)]
pub struct Link {
    endpoint: Endpoint,
    retry: Retry,
    state: State,
}

enum State {
    Resting {
        until: Instant,
    },
    Opening(Opening),
    Open(Box<Stream>),
    /// Broken while it was said something to, or left: [`Link::next`] tells.
    Broken(Loss),
}

type Opening = Pin<Box<dyn Future<Output = Result<Stream, Loss>> + Send>>;

struct Stream {
    outgoing: mpsc::Sender<v1::AgentMessage>,
    incoming: Streaming<v1::ControlMessage>,
    /// When it counts as a good one; `None` = it does.
    settles_at: Option<Instant>,
}

impl Link {
    /// A link that connects as soon as [`Link::next`] is called.
    pub fn new(url: &str, rng: Rng) -> Result<Self, BadUrl> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| BadUrl(chain(&error)))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true);
        Ok(Self {
            endpoint,
            retry: Retry::new(rng),
            state: State::Resting {
                until: Instant::now(),
            },
        })
    }

    /// Whether something can be said.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Waits for the next event. Can be dropped at any time without losing one.
    pub async fn next(&mut self) -> Event {
        loop {
            match &mut self.state {
                State::Resting { until } => {
                    sleep_until(*until).await;
                    self.state = State::Opening(Box::pin(open(self.endpoint.clone())));
                }
                State::Opening(opening) => match opening.await {
                    Ok(stream) => {
                        self.state = State::Open(Box::new(stream));
                        return Event::Open;
                    }
                    Err(loss) => self.rest(loss),
                },
                State::Open(stream) => match stream.turn().await {
                    Ok(Turn::Heard(message)) => {
                        self.tell_with(Retry::heard);
                        if let Some(Said::Snapshot(snapshot)) = message.kind {
                            return Event::Snapshot(snapshot);
                        }
                        // Otherwise a message of a newer control plane.
                    }
                    Ok(Turn::Settled) => self.tell_with(Retry::settled),
                    Err(loss) => self.state = State::Broken(loss),
                },
                State::Broken(loss) => {
                    let loss = loss.clone();
                    self.rest(loss);
                    return Event::Lost;
                }
            }
        }
    }

    /// Says something, if the stream is open. Waits at most `SEND_TIMEOUT`; then the stream is given up.
    pub async fn say(&mut self, kind: v1::agent_message::Kind) {
        let State::Open(stream) = &mut self.state else {
            return;
        };
        let message = v1::AgentMessage { kind: Some(kind) };
        match timeout(SEND_TIMEOUT, stream.outgoing.send(message)).await {
            Ok(Ok(())) => {}
            // The transport is gone; reading on gives the reason.
            Ok(Err(_)) => {}
            Err(_) => {
                let why = format!(
                    "the control plane did not read for {} s",
                    SEND_TIMEOUT.as_secs()
                );
                self.state = State::Broken(Loss::Unreachable(why));
            }
        }
    }

    /// Gives an open stream up.
    pub fn close(&mut self, reason: CloseReason) {
        if self.is_open() {
            self.state = State::Broken(Loss::Refused(reason.to_string()));
        }
    }

    fn rest(&mut self, loss: Loss) {
        let (wait, tell) = self.retry.lost(loss);
        self.state = State::Resting {
            until: Instant::now() + wait,
        };
        self.log(tell);
    }

    fn tell_with(&mut self, told: impl FnOnce(&mut Retry) -> Option<Tell>) {
        let tell = told(&mut self.retry);
        self.log(tell);
    }

    fn log(&self, tell: Option<Tell>) {
        let url = self.endpoint.uri();
        match tell {
            Some(Tell::Connected) => {
                tracing::info!(control_plane = %url, "connected to the control plane");
            }
            Some(Tell::Lost(reason)) => tracing::warn!(
                control_plane = %url,
                reason,
                "no connection to the control plane: what is in force stays, and connecting is tried until it works"
            ),
            Some(Tell::Refused(reason)) => tracing::error!(
                control_plane = %url,
                reason,
                "the stream was refused: what is in force stays, and connecting is tried again"
            ),
            None => {}
        }
    }
}

enum Turn {
    Heard(v1::ControlMessage),
    Settled,
}

impl Stream {
    async fn turn(&mut self) -> Result<Turn, Loss> {
        let settles_at = self.settles_at;
        let settled = async {
            match settles_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = self.incoming.message() => match message {
                Ok(Some(message)) => Ok(Turn::Heard(message)),
                Ok(None) => Err(Loss::Unreachable("the control plane ended the stream".to_owned())),
                Err(status) => Err(loss(&status)),
            },
            () = settled => {
                self.settles_at = None;
                Ok(Turn::Settled)
            }
        }
    }
}

async fn open(endpoint: Endpoint) -> Result<Stream, Loss> {
    let channel = endpoint
        .connect()
        .await
        .map_err(|error| Loss::Unreachable(chain(&error)))?;
    let (outgoing, messages) = mpsc::channel(OUTGOING);
    let mut client =
        AgentDiscoveryClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let opened = timeout(OPEN_TIMEOUT, client.stream(ReceiverStream::new(messages))).await;
    let response = opened
        .map_err(|_| Loss::Unreachable("the control plane does not answer".to_owned()))?
        .map_err(|status| loss(&status))?;
    Ok(Stream {
        outgoing,
        incoming: response.into_inner(),
        settles_at: Some(Instant::now() + SETTLED_AFTER),
    })
}

/// Whether it is the way that is cut, or the two that do not get along.
fn loss(status: &Status) -> Loss {
    let source = std::error::Error::source(status).map(chain);
    let why = match (status.message(), source) {
        ("", None) => status.code().description().to_owned(),
        ("", Some(source)) => source,
        (message, None) => message.to_owned(),
        (message, Some(source)) => format!("{message}: {source}"),
    };
    match status.code() {
        // A connection that breaks shows as any of these.
        Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal => {
            Loss::Unreachable(why)
        }
        _ => Loss::Refused(why),
    }
}

/// What is said when there was a connection on which nobody spoke HTTP/2: the layers below tell it in words only.
const FOREIGN: [&str; 2] = ["frame with invalid size", "broken pipe"];

/// An error with what is behind it: the outermost text alone is often just "transport error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    if FOREIGN.iter().any(|words| text.contains(words)) {
        text.push_str("; is it a control plane that answers there?");
    }
    text
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resting { .. } => "Resting",
            Self::Opening(_) => "Opening",
            Self::Open(_) => "Open",
            Self::Broken(_) => "Broken",
        })
    }
}
