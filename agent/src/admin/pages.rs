//! What the admin address shows. No page has a secret in it.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use inlet_proto::manifest;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::access_log::Log;
use crate::discovery::{CompleteSnapshot, Viewer};
use crate::live::Registry;
use crate::metrics::{self, AgentFacts};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Pages of /config that are put together at a time: they may be large.
const CONFIGS: usize = 1;

/// The pages.
#[derive(Debug)]
pub struct Pages {
    registry: Arc<Registry>,
    viewer: Viewer,
    access_log: Arc<Log>,
    configs: Semaphore,
}

/// An answer, whole.
pub type Page = Response<Full<Bytes>>;

impl Pages {
    /// Pages that show these.
    pub fn new(registry: Arc<Registry>, viewer: Viewer, access_log: Arc<Log>) -> Self {
        Self {
            registry,
            viewer,
            access_log,
            configs: Semaphore::new(CONFIGS),
        }
    }

    /// The answer to a request.
    pub async fn answer(&self, method: &Method, path: &str) -> Page {
        if !["/healthz", "/readyz", "/metrics", "/config"].contains(&path) {
            let text = "no such page: there are /healthz, /readyz, /metrics and /config\n";
            return page(StatusCode::NOT_FOUND, TEXT, text);
        }
        if ![Method::GET, Method::HEAD].contains(method) {
            let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
            refusal
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match path {
            "/healthz" => page(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => ready(&self.viewer.facts()),
            "/metrics" => {
                let text = metrics::render(&self.registry, &self.facts());
                page(StatusCode::OK, METRICS, text)
            }
            _ => self.config().await,
        }
    }

    fn facts(&self) -> AgentFacts {
        AgentFacts {
            open_files: open_files(),
            access_log_dropped: self.access_log.dropped(),
            ..self.viewer.facts()
        }
    }

    async fn config(&self) -> Page {
        let unavailable = || {
            page(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                "not now: try again\n",
            )
        };
        let Ok(_turn) = self.configs.acquire().await else {
            return unavailable();
        };
        let Some(snapshot) = self.viewer.in_force().await else {
            return unavailable();
        };
        match tokio::task::spawn_blocking(move || config(&snapshot)).await {
            Ok(text) => page(StatusCode::OK, JSON, text),
            Err(_) => unavailable(),
        }
    }
}

/// `None` = the system does not say.
fn open_files() -> Option<u64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(open).ok()
}

fn ready(facts: &AgentFacts) -> Page {
    let (status, text) = match facts {
        AgentFacts { draining: true, .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the agent ends: nothing new is accepted\n".to_owned(),
        ),
        AgentFacts {
            revision: Some(revision),
            ..
        } => (StatusCode::OK, format!("snapshot {revision} is in force\n")),
        AgentFacts { refused: 1.., .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no snapshot is in force: the last one was refused, the log says why\n".to_owned(),
        ),
        AgentFacts {
            connected: false, ..
        } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no snapshot is in force: none is kept, and the control plane is not connected\n"
                .to_owned(),
        ),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no snapshot is in force yet: the first one is on its way\n".to_owned(),
        ),
    };
    page(status, TEXT, text)
}

/// `{"revision": 7, "resources": [...]}`; the manifests have no secrets.
fn config(snapshot: &CompleteSnapshot) -> String {
    let resources = snapshot.resources.iter();
    let manifests: Vec<_> = resources
        .map(|resource| manifest::to_json(resource, true))
        .collect();
    let mut text = json!({"revision": snapshot.revision, "resources": manifests}).to_string();
    text.push('\n');
    text
}

fn page(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Page {
    let mut page = Response::new(Full::new(text.into()));
    *page.status_mut() = status;
    page.headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    page
}

#[cfg(test)]
mod tests {
    use inlet_proto::digest::Digest;
    use inlet_proto::v1;

    use super::*;

    #[test]
    fn ready_means_a_snapshot_in_force() {
        let nothing = AgentFacts::default();
        let in_force = AgentFacts {
            revision: Some(0),
            ..nothing
        };
        for (facts, status, text) in [
            (nothing, 503, "the control plane is not connected"),
            (
                AgentFacts {
                    connected: true,
                    ..nothing
                },
                503,
                "on its way",
            ),
            (
                AgentFacts {
                    refused: 1,
                    ..nothing
                },
                503,
                "was refused",
            ),
            (in_force, 200, ""),
            (
                AgentFacts {
                    refused: 1,
                    ..in_force
                },
                200,
                "",
            ),
            (
                AgentFacts {
                    draining: true,
                    ..in_force
                },
                503,
                "the agent ends",
            ),
        ] {
            let page = ready(&facts);
            assert_eq!(page.status(), status, "{facts:?}");
            assert!(format!("{page:?}").contains(text), "{page:?}");
        }
    }

    #[test]
    fn the_configuration_is_shown_without_its_secrets() {
        let certificate = v1::Certificate {
            name: "shop".to_owned(),
            private_key: "THE SECRET".to_owned(),
            ..Default::default()
        };
        let text = config(&CompleteSnapshot {
            revision: 7,
            digest: Digest::default(),
            resources: vec![Arc::new(certificate.into())],
        });
        assert!(!text.contains("SECRET"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["revision"], 7);
        assert_eq!(value["resources"][0]["kind"], "Certificate");
    }
}
