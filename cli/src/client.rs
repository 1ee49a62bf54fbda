//! The API of the control plane: one connection, who is asking, and calls that wait no longer than they must.
//!
//! The only place that names the RPC framework beside `error`. Every wait has a bound: connecting
//! [`CONNECT_PATIENCE`], an answer [`ANSWER_PATIENCE`], a silent connection [`PING_EVERY`] plus [`PING_PATIENCE`].

use std::time::Duration;

use inlet_proto::details::MAX_MESSAGE_BYTES;
use inlet_proto::kind::Kind;
use inlet_proto::manifest;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::configuration_client::ConfigurationClient;
use inlet_proto::v1::fleet_client::FleetClient;
use inlet_proto::v1::targets_client::TargetsClient;
use prost::Message;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::config::{Config, Server};
use crate::error::{self, Error};
use crate::output::progress::Progress;

/// How long connecting may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer, or the first of a stream, may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may be silent before it is asked whether it is alive.
const PING_EVERY: Duration = Duration::from_secs(3);
/// How long it may take to say so.
const PING_PATIENCE: Duration = Duration::from_secs(7);
/// Resources asked for at once.
const PAGE_SIZE: u32 = 1000;
/// Pages of one list at most.
const MAX_PAGES: usize = 10_000;
/// How often a list is read anew because the configuration changed meanwhile.
const MAX_ATTEMPTS: usize = 10;

/// Metadata key under which a client says who it is.
const AUTHOR_METADATA: &str = "inlet-author";

/// A connected client.
pub(crate) struct Client {
    server: Server,
    configuration: ConfigurationClient<Connection>,
    targets: TargetsClient<Connection>,
    fleet: FleetClient<Connection>,
    progress: Progress,
}

type Connection = InterceptedService<Channel, Credentials>;

/// Whose resources, and which of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// Full name of the parent; empty = all.
    pub(crate) parent: String,
    /// As in `ListRequest.filter`.
    pub(crate) filter: String,
}

impl Client {
    /// Connects. Errors: [`Error::Unreachable`]; a token that no header can have.
    pub(crate) async fn connect(config: &Config, progress: Progress) -> Result<Self, Error> {
        let server = &config.server;
        let unreachable = |reason: String| Error::Unreachable {
            server: server.clone(),
            reason,
        };
        let endpoint = Endpoint::from_shared(server.as_str().to_owned())
            .map_err(|error| unreachable(error::innermost(&error)))?
            .timeout(ANSWER_PATIENCE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_PATIENCE)
            .keep_alive_while_idle(true);
        let connecting = tokio::time::timeout(CONNECT_PATIENCE, endpoint.connect());
        let connected = progress
            .during(&format!("connecting to {server}"), connecting)
            .await;
        let channel = connected
            .map_err(|_| unreachable(format!("no answer within {} s", CONNECT_PATIENCE.as_secs())))?
            .map_err(|error| unreachable(error::innermost(&error)))?;
        Ok(Self::over(
            channel,
            config,
            Credentials::new(config)?,
            progress,
        ))
    }

    fn over(
        channel: Channel,
        config: &Config,
        credentials: Credentials,
        progress: Progress,
    ) -> Self {
        let connection = InterceptedService::new(channel, credentials);
        Self {
            server: config.server.clone(),
            configuration: ConfigurationClient::new(connection.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            targets: TargetsClient::new(connection.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            fleet: FleetClient::new(connection).max_decoding_message_size(MAX_MESSAGE_BYTES),
            progress,
        }
    }

    /// Makes a change. Errors: refused, or larger than a message may be.
    pub(crate) async fn apply(
        &self,
        request: v1::ApplyRequest,
    ) -> Result<v1::ApplyResponse, Error> {
        let bytes = request.encoded_len();
        if bytes > MAX_MESSAGE_BYTES {
            return Err(Error::Failed(format!(
                "the change has {bytes} bytes, at most {MAX_MESSAGE_BYTES} are taken at once: split it"
            )));
        }
        let mut client = self.configuration.clone();
        self.change(client.apply(request)).await
    }

    /// Goes back to an earlier configuration.
    pub(crate) async fn rollback(
        &self,
        request: v1::RollbackRequest,
    ) -> Result<v1::ApplyResponse, Error> {
        let mut client = self.configuration.clone();
        self.change(client.rollback(request)).await
    }

    /// One resource. Errors: it is not there, with a near miss.
    pub(crate) async fn get(&self, key: &Key) -> Result<v1::Resource, Error> {
        let request = v1::GetRequest {
            key: Some(key.into()),
        };
        let mut client = self.configuration.clone();
        let found = self.wait(client.get(request)).await;
        let resource = match found {
            Ok(response) => response.resource,
            Err(error) => return Err(self.suggest(error, key).await),
        };
        resource
            .ok_or_else(|| Error::Failed(format!("the control plane has answered without {key}")))
    }

    /// All resources of a kind in the order of their names.
    pub(crate) async fn list(
        &self,
        kind: Kind,
        selection: &Selection,
    ) -> Result<Vec<v1::Resource>, Error> {
        let listed = self.read_pages(kind.name(), selection, None).await?;
        Ok(listed.map_or_else(Vec::new, |(resources, _)| resources))
    }

    /// Everything at one revision, parents before children, targets inside their groups.
    pub(crate) async fn everything(&self) -> Result<(Vec<v1::Resource>, u64), Error> {
        for _ in 0..MAX_ATTEMPTS {
            let revision = self.current_revision().await?;
            if let Some(read) = self
                .read_pages("", &Selection::default(), Some(revision))
                .await?
            {
                return Ok(read);
            }
        }
        Err(Error::Failed(format!(
            "the configuration has changed each of the {MAX_ATTEMPTS} times it was read: try again in a quieter moment"
        )))
    }

    /// `None` if a page is not of the revision that is wanted.
    async fn read_pages(
        &self,
        kind: &str,
        selection: &Selection,
        wanted: Option<u64>,
    ) -> Result<Option<(Vec<v1::Resource>, u64)>, Error> {
        let mut request = v1::ListRequest {
            kind: kind.to_owned(),
            parent: selection.parent.clone(),
            filter: selection.filter.clone(),
            page_size: PAGE_SIZE,
            page_token: String::new(),
        };
        let mut resources = Vec::new();
        for _ in 0..MAX_PAGES {
            let mut client = self.configuration.clone();
            let page = self.wait(client.list(request.clone())).await?;
            if wanted.is_some_and(|wanted| wanted != page.revision) {
                return Ok(None);
            }
            resources.extend(page.resources);
            if page.next_page_token.is_empty() {
                return Ok(Some((resources, page.revision)));
            }
            request.page_token = page.next_page_token;
        }
        Err(Error::Failed(format!(
            "the list has more than {MAX_PAGES} pages"
        )))
    }

    /// Part of the history.
    pub(crate) async fn history(
        &self,
        request: v1::HistoryRequest,
    ) -> Result<v1::HistoryResponse, Error> {
        let mut client = self.configuration.clone();
        self.wait(client.history(request)).await
    }

    /// The current revision.
    pub(crate) async fn current_revision(&self) -> Result<u64, Error> {
        let request = v1::HistoryRequest {
            page_size: 1,
            summary: true,
            ..Default::default()
        };
        Ok(self.history(request).await?.current_revision)
    }

    /// The revisions after one, as they come.
    pub(crate) async fn watch(
        &self,
        request: v1::WatchRequest,
    ) -> Result<Stream<v1::Revision>, Error> {
        let mut client = self.configuration.clone();
        let stream = self.wait(client.watch(request)).await?;
        Ok(Stream {
            stream,
            server: self.server.clone(),
        })
    }

    /// Registers targets.
    pub(crate) async fn register(&self, request: v1::RegisterRequest) -> Result<u64, Error> {
        let mut client = self.targets.clone();
        Ok(self.change(client.register(request)).await?.revision)
    }

    /// Deregisters targets.
    pub(crate) async fn deregister(&self, request: v1::DeregisterRequest) -> Result<u64, Error> {
        let mut client = self.targets.clone();
        Ok(self.change(client.deregister(request)).await?.revision)
    }

    /// The health of a group's targets. Errors: there is no such group, with a near miss.
    pub(crate) async fn health(&self, group: &Key) -> Result<Vec<v1::TargetHealth>, Error> {
        let request = v1::HealthRequest {
            target_group: group.name.clone(),
            targets: Vec::new(),
        };
        let mut client = self.targets.clone();
        match self.wait(client.health(request)).await {
            Ok(response) => Ok(response.targets),
            Err(error) => Err(self.suggest(error, group).await),
        }
    }

    /// All agents.
    pub(crate) async fn agents(&self) -> Result<Vec<v1::Agent>, Error> {
        let mut client = self.fleet.clone();
        Ok(self
            .wait(client.list_agents(v1::ListAgentsRequest {}))
            .await?
            .agents)
    }

    /// One agent. Errors: it was never seen, with a near miss.
    pub(crate) async fn agent(&self, name: &str) -> Result<v1::Agent, Error> {
        let mut client = self.fleet.clone();
        let request = v1::GetAgentRequest {
            name: name.to_owned(),
        };
        let error = match self.wait(client.get_agent(request)).await {
            Ok(agent) => return Ok(agent),
            Err(error) => error,
        };
        if !error.is_not_found() {
            return Err(error);
        }
        let agents = self.agents().await.unwrap_or_default();
        let names: Vec<_> = agents.iter().map(|agent| agent.name.as_str()).collect();
        Err(with_hint(error, manifest::nearest(name, &names)))
    }

    /// All agents, then those that change.
    pub(crate) async fn watch_agents(&self) -> Result<Stream<v1::WatchAgentsResponse>, Error> {
        let mut client = self.fleet.clone();
        let stream = client.watch_agents(v1::WatchAgentsRequest {}).await;
        let stream = stream.map_err(|status| Error::from_status(&self.server, &status))?;
        Ok(Stream {
            stream: stream.into_inner(),
            server: self.server.clone(),
        })
    }

    /// Adds to an error about something missing what may have been meant.
    pub(crate) async fn suggest(&self, error: Error, key: &Key) -> Error {
        if !error.is_not_found() {
            return error;
        }
        let listed = self
            .list(key.kind, &Selection::default())
            .await
            .unwrap_or_default();
        let names: Vec<_> = listed
            .iter()
            .filter_map(|one| Some(one.key()?.name))
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        with_hint(error, manifest::nearest(&key.name, &names))
    }

    /// A call that changes something: if the answer is lost, nobody knows whether it did.
    async fn change<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        self.wait(call).await.map_err(|error| match error {
            Error::Unreachable { server, reason } => Error::Lost { server, reason },
            error => error,
        })
    }

    async fn wait<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        let what = format!("waiting for {}", self.server);
        let answer = self.progress.during(&what, call).await;
        answer
            .map(Response::into_inner)
            .map_err(|status| Error::from_status(&self.server, &status))
    }
}

fn with_hint(error: Error, near: Option<&str>) -> Error {
    match (error, near) {
        (Error::Answered { code, message }, Some(near)) => Error::Answered {
            code,
            message: format!("{message}; did you mean '{near}'?"),
        },
        (Error::Refused(mut violations), Some(near)) => {
            let missing = violations
                .iter_mut()
                .find(|violation| violation.reason == "NOT_FOUND");
            if let Some(violation) = missing {
                violation
                    .description
                    .push_str(&format!("; did you mean '{near}'?"));
            }
            Error::Refused(violations)
        }
        (error, _) => error,
    }
}

/// Answers that come one by one.
pub(crate) struct Stream<T> {
    stream: Streaming<T>,
    server: Server,
}

impl<T> Stream<T> {
    /// The next one; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Error> {
        let next = self.stream.message().await;
        next.map_err(|status| Error::from_status(&self.server, &status))
    }
}

/// Who is asking.
#[derive(Clone)]
struct Credentials {
    author: Option<MetadataValue<Ascii>>,
    token: Option<MetadataValue<Ascii>>,
}

impl Credentials {
    fn new(config: &Config) -> Result<Self, Error> {
        let token = config
            .token
            .as_ref()
            .map(|token| format!("Bearer {}", token.trim()).parse());
        let mut token: Option<MetadataValue<Ascii>> = token
            .transpose()
            .map_err(|_| Error::Usage("the token has characters that no token has".to_owned()))?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        Ok(Self {
            author: config
                .author
                .as_ref()
                .and_then(|author| author.parse().ok()),
            token,
        })
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        if let Some(author) = &self.author {
            metadata.insert(AUTHOR_METADATA, author.clone());
        }
        if let Some(token) = &self.token {
            metadata.insert("authorization", token.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests;
