//! A world in which a target misbehaves: plays a case, and looks at everything that it must not have spoiled.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::access_log;
use crate::config::{AccessLog, AccessLogFormat};

use super::super::super::respond::{Answer, Persistence};
use super::*;

/// Longer than the idle timeout of these rigs.
const TOO_LONG_SECONDS: f64 = 10.5;

/// One thing that a target does once it has read the head of a request.
pub(super) enum Does {
    Says(String),
    /// The client has got as much by now.
    IsHeard(String),
    /// Says it again and again, until nobody listens any more.
    Floods(&'static str),
    /// Nothing, for longer than the idle timeout.
    Waits,
    Closes,
    Resets,
}

/// What the client sees after what it [heard](Does::IsHeard).
pub(super) struct Sees {
    pub(super) bytes: String,
    /// The status of a page of ours that comes next.
    pub(super) made: Option<u16>,
    pub(super) then: Then,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Then {
    GoesOn,
    Ends,
    IsReset,
    /// Ends after more of the same.
    EndsLater,
}

/// Status, the target's status and the reason in the access log.
pub(super) type Logged = (u16, Option<u16>, Option<&'static str>);

/// Target and client, with everything that is known of them.
pub(super) struct World {
    pub(super) rig: Rig,
    log: access_log::Log,
    folder: tempfile::TempDir,
    /// Lines that the log must have, with the case that each is from.
    pub(super) lines: Vec<(String, Value)>,
    asked: usize,
}

pub(super) fn says(bytes: impl Into<String>) -> Does {
    Does::Says(bytes.into())
}

pub(super) fn heard(bytes: impl Into<String>) -> Does {
    Does::IsHeard(bytes.into())
}

pub(super) fn made(status: u16) -> Sees {
    made_after("", status)
}

pub(super) fn made_after(bytes: &str, status: u16) -> Sees {
    Sees {
        bytes: bytes.to_owned(),
        made: Some(status),
        then: Then::GoesOn,
    }
}

pub(super) fn sees(bytes: impl Into<String>, then: Then) -> Sees {
    Sees {
        bytes: bytes.into(),
        made: None,
        then,
    }
}

pub(super) const fn failed(status: u16, reason: &'static str) -> Logged {
    (status, None, Some(reason))
}

/// A response of the target that was cut.
pub(super) const fn cut(status: u16, reason: &'static str) -> Logged {
    (status, Some(status), Some(reason))
}

pub(super) const fn passed(status: u16) -> Logged {
    (status, Some(status), None)
}

impl World {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = access_log::start(Some(&AccessLog {
            path: folder.path().join("access.log"),
            format: AccessLogFormat::Json,
        }))
        .unwrap();
        let rig = Rig::start_with(Settings {
            idle_timeout: Duration::from_secs(10),
            access_log: log.writer(0),
            ..Settings::default()
        })
        .await;
        Self {
            rig,
            log,
            folder,
            lines: Vec::new(),
            asked: 0,
        }
    }

    /// One request, whatever the target makes of it, and two requests after it.
    pub(super) async fn play(
        &mut self,
        case: &str,
        request: &str,
        does: Vec<Does>,
        sees: Sees,
        log: Logged,
    ) {
        let before = self.rig.made(log.0.max(400));
        let mut client = self.rig.client().await;
        client.send(request).await;
        let mut target = self.rig.target().await;
        target.head().await;
        let mut target = Some(target);
        let mut heard_bytes = 0;
        for doing in does {
            heard_bytes += self.act(&mut target, &mut client, doing).await;
        }
        let seen = self.see(case, &mut client, &sees).await;
        let line = self.line(log, request, heard_bytes + seen);
        self.lines.push((case.to_owned(), line));
        self.check_counters(case, before, log).await;
        if sees.then == Then::GoesOn {
            self.ask(case, &mut client).await;
        }
        let mut other = self.rig.client().await;
        self.ask(case, &mut other).await;
        // The next case begins with a connection of its own.
        self.rig.worker.upstreams().sweep(u32::MAX);
    }

    /// How many bytes the client has read meanwhile.
    async fn act(&self, target: &mut Option<Peer>, client: &mut Peer, does: Does) -> usize {
        let Some(peer) = target else { return 0 };
        match does {
            Does::Says(bytes) => peer.send(bytes).await,
            Does::IsHeard(bytes) => {
                client.expect(&bytes).await;
                return bytes.len();
            }
            Does::Floods(piece) => {
                let Some(mut peer) = target.take() else {
                    return 0;
                };
                tokio::task::spawn_local(async move {
                    while peer.0.write_all(piece.as_bytes()).await.is_ok() {}
                });
            }
            Does::Waits => {
                settled(&self.rig, 1).await;
                self.rig.advance(TOO_LONG_SECONDS);
            }
            Does::Closes => drop(target.take().map(Peer::close)),
            Does::Resets => drop(target.take().map(Peer::reset)),
        }
        0
    }

    /// How many bytes the client has read.
    async fn see(&self, case: &str, client: &mut Peer, sees: &Sees) -> usize {
        let mut expected = sees.bytes.clone().into_bytes();
        if let Some(status) = sees.made {
            let mut page = Vec::new();
            let answer = Answer::page(status, &mut page);
            let wall = self.rig.worker.wall();
            let persistence = match sees.then {
                Then::GoesOn => Persistence::Default,
                _ => Persistence::Close,
            };
            answer.write(&mut expected, &wall, persistence, false);
        }
        let mut read = vec![0; expected.len()];
        if let Err(error) = client.0.read_exact(&mut read).await {
            panic!("{case}: {error} instead of {}", expected.escape_ascii());
        }
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(shown(&read), shown(&expected), "{case}");
        let mut rest = Vec::new();
        match sees.then {
            Then::GoesOn => assert!(client.is_silent(), "{case}"),
            Then::Ends => assert_eq!(client.rest().await, "", "{case}"),
            Then::EndsLater => drop(client.0.read_to_end(&mut rest).await.unwrap()),
            Then::IsReset => {
                let error = client.0.read_u8().await.expect_err(case);
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{case}");
            }
        }
        expected.len() + rest.len()
    }

    pub(super) fn line(
        &self,
        (status, target_status, reason): Logged,
        request: &str,
        sent: usize,
    ) -> Value {
        json!({
            "status": status, "targetStatus": target_status, "errorReason": reason,
            "receivedBytes": request.len(), "sentBytes": sent,
        })
    }

    /// Nothing of the target is used again, and everything was counted once.
    async fn check_counters(&self, case: &str, made_before: u64, log: Logged) {
        until(|| {
            self.rig.advance(0.0);
            self.rig.worker.upstreams().idle() == 0
        })
        .await;
        let in_flight = &self.rig.group.pool.members[0].0.in_flight;
        assert_eq!(in_flight.load(Ordering::Relaxed), 0, "{case}");
        if log.0 >= 400 {
            let made = u64::from(log.1.is_none());
            assert_eq!(self.rig.made(log.0), made_before + made, "{case}");
        }
    }

    /// A request that only its own answer fits.
    pub(super) async fn ask(&mut self, case: &str, client: &mut Peer) {
        self.asked += 1;
        let question = format!("GET /{} HTTP/1.1\r\n", self.asked);
        let request = format!("{question}Host: a\r\n\r\n");
        client.send(&request).await;
        let mut target = self.rig.target().await;
        let head = target.head().await;
        assert!(head.starts_with(&question), "after {case}: {head}");
        let body = self.asked.to_string();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        target.send(&answer).await;
        client.expect(&answer).await;
        let line = self.line(passed(200), &request, answer.len());
        self.lines.push((format!("after {case}"), line));
        self.rig.worker.upstreams().sweep(u32::MAX);
    }

    /// The log has a line for each request, in their order.
    pub(super) async fn end(self) {
        let path = self.folder.path().join("access.log");
        let read = || std::fs::read_to_string(&path).unwrap();
        until(|| {
            self.rig.advance(0.0);
            read().lines().count() >= self.lines.len()
        })
        .await;
        assert_eq!(self.log.dropped(), 0);
        let read = read();
        assert_eq!(read.lines().count(), self.lines.len());
        for (line, (case, expected)) in read.lines().zip(&self.lines) {
            let line: Value = serde_json::from_str(line).unwrap();
            for (field, expected) in expected.as_object().unwrap() {
                let found = line.get(field).unwrap_or(&Value::Null);
                assert_eq!(found, expected, "{case}: {field} in {line}");
            }
        }
    }
}
