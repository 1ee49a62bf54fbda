//! A little traffic for the demo, and what came of it: a few requests a second to both zones, most of them to the path
//! whose rule there is a change to try on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::client::{self, Answer, ClientError};
use super::ports::Ports;

/// Time between two requests.
const PACE: Duration = Duration::from_millis(250);
/// What is asked for, in turn.
const ROTA: [&str; 4] = ["/release", "/shop/1", "/release", "/hello"];
/// The path whose answers are told apart.
pub(super) const RELEASE: &str = "/release";

/// What came of some requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Answered as they should be.
    pub(super) answered: u64,
    /// Not answered, or by an error of a server.
    pub(super) failed: u64,
    /// Of `/release`: answered by group blue.
    pub(super) blue: u64,
    /// Of `/release`: answered by group green.
    pub(super) green: u64,
}

impl Counts {
    fn count(&mut self, path: &str, answer: &Result<Answer, ClientError>) {
        let answer = match answer {
            Ok(answer) if answer.status < 500 => answer,
            _ => {
                self.failed += 1;
                return;
            }
        };
        self.answered += 1;
        if path == RELEASE {
            let backend = answer.backend();
            self.blue += u64::from(backend.starts_with("blue"));
            self.green += u64::from(backend == "green");
        }
    }
}

/// Traffic that goes on until it is dropped.
#[derive(Debug)]
pub(super) struct Traffic {
    counts: Arc<Mutex<Counts>>,
    task: JoinHandle<()>,
}

impl Traffic {
    /// Begins.
    pub(super) fn start(ports: &Ports) -> Self {
        let counts = Arc::new(Mutex::new(Counts::default()));
        let task = tokio::spawn(run(ports.http, Arc::clone(&counts)));
        Self { counts, task }
    }

    /// What came of the requests since the last call.
    pub(super) fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every path to every zone before it begins anew.
async fn run(http: [u16; 2], counts: Arc<Mutex<Counts>>) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for path in ROTA.into_iter().cycle() {
        for port in http {
            pace.tick().await;
            let answer = client::get(port, path, &[]).await;
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.count(path, &answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderValue};

    use super::*;

    fn answer(status: u16, backend: &'static str) -> Result<Answer, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(
            super::super::backend::NAME_HEADER,
            HeaderValue::from_static(backend),
        );
        Ok(Answer {
            status,
            headers,
            text: String::new(),
        })
    }

    #[test]
    fn answers_are_counted_by_what_they_are() {
        let mut counts = Counts::default();
        counts.count("/release", &answer(200, "blue-2"));
        counts.count("/release", &answer(200, "green"));
        counts.count("/shop/1", &answer(200, "blue-1"));
        counts.count("/hello", &answer(404, ""));
        counts.count("/release", &answer(503, ""));
        counts.count("/release", &Err(ClientError::Ended));
        let expected = Counts {
            answered: 4,
            failed: 2,
            blue: 1,
            green: 1,
        };
        assert_eq!(counts, expected);
    }
}
