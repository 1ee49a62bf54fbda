//! The client against a control plane that answers as it is told.

use std::sync::{Arc, Mutex};

use inlet_proto::details::{DOMAIN, Details, ErrorInfo};
use inlet_proto::v1::configuration_server::{Configuration, ConfigurationServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;

use super::*;

/// Two groups in pages of one; the revision rises after `moves` pages.
#[derive(Default)]
struct Fake {
    moves: Mutex<u64>,
    authors: Mutex<Vec<String>>,
}

struct Served(Arc<Fake>);

fn group(name: &str) -> v1::Resource {
    v1::TargetGroup {
        name: name.to_owned(),
        ..Default::default()
    }
    .into()
}

fn missing(name: &str) -> Status {
    let info = Some(ErrorInfo {
        reason: "NOT_FOUND".to_owned(),
        domain: DOMAIN.to_owned(),
        ..Default::default()
    });
    let details = Details {
        violations: Vec::new(),
        info,
    };
    let message = format!("there is no TargetGroup {name}");
    Status::with_details(Code::NotFound, message, details.encode(5, "").into())
}

#[tonic::async_trait]
impl Configuration for Served {
    type WatchStream = tokio_stream::Empty<Result<v1::Revision, Status>>;

    async fn apply(
        &self,
        request: Request<v1::ApplyRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let metadata = request.metadata();
        let texts = ["inlet-author", "authorization"]
            .map(|name| metadata.get(name).and_then(|value| value.to_str().ok()));
        self.0
            .authors
            .lock()
            .unwrap()
            .extend(texts.iter().flatten().map(|text| (*text).to_owned()));
        Ok(Response::new(v1::ApplyResponse::default()))
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        Err(missing(&request.into_inner().key.unwrap_or_default().name))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let is_first = request.into_inner().page_token.is_empty();
        let mut moves = self.0.moves.lock().unwrap();
        let revision = 10 - *moves;
        if is_first && *moves > 0 {
            *moves -= 1;
        }
        let (name, next) = if is_first {
            ("catalog", "more")
        } else {
            ("orders", "")
        };
        Ok(Response::new(v1::ListResponse {
            resources: vec![group(name)],
            next_page_token: next.to_owned(),
            revision,
        }))
    }

    async fn watch(
        &self,
        _: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn history(
        &self,
        _: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        let current_revision = 10 - *self.0.moves.lock().unwrap();
        Ok(Response::new(v1::HistoryResponse {
            current_revision,
            ..Default::default()
        }))
    }

    async fn rollback(
        &self,
        _: Request<v1::RollbackRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        Err(Status::new(
            Code::OutOfRange,
            "revision 99 does not exist yet",
        ))
    }
}

async fn serve() -> (Arc<Fake>, Client) {
    let fake = Arc::new(Fake::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let service = ConfigurationServer::new(Served(Arc::clone(&fake)));
    let serving = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
    (
        fake,
        connect(&server)
            .await
            .unwrap_or_else(|error| panic!("{error:?}")),
    )
}

async fn connect(server: &str) -> Result<Client, Error> {
    let config = Config {
        server: Server::parse(server)?,
        token: Some("secret".to_owned()),
        author: Some("alice@desk".to_owned()),
    };
    Client::connect(&config, Progress::new(false)).await
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let (_, client) = serve().await;
    let listed = client
        .list(Kind::TargetGroup, &Selection::default())
        .await
        .unwrap();
    let names: Vec<_> = listed.iter().map(|one| one.key().unwrap().name).collect();
    assert_eq!(names, ["catalog", "orders"]);
}

#[tokio::test]
async fn everything_is_of_one_revision() {
    let (fake, client) = serve().await;
    *fake.moves.lock().unwrap() = 3;
    let (resources, revision) = client.everything().await.unwrap();
    assert_eq!((resources.len(), revision), (2, 10));
    *fake.moves.lock().unwrap() = 9;
    client.everything().await.unwrap();
    assert_eq!(*fake.moves.lock().unwrap(), 0);
}

#[tokio::test]
async fn what_is_missing_comes_with_what_may_have_been_meant() {
    let (_, client) = serve().await;
    for (name, said) in [
        (
            "catalgo",
            "error: there is no TargetGroup catalgo; did you mean 'catalog'?",
        ),
        (
            "nothing-like-it",
            "error: there is no TargetGroup nothing-like-it",
        ),
    ] {
        let error = client
            .get(&Key::of(Kind::TargetGroup, name).unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.lines(), [said]);
        assert_eq!(error.status(), 1);
    }
}

#[tokio::test]
async fn every_call_says_who_asks() {
    let (fake, client) = serve().await;
    client.apply(v1::ApplyRequest::default()).await.unwrap();
    assert_eq!(
        *fake.authors.lock().unwrap(),
        ["alice@desk", "Bearer secret"]
    );
}

#[tokio::test]
async fn a_plain_error_is_its_sentence() {
    let (_, client) = serve().await;
    let error = client
        .rollback(v1::RollbackRequest::default())
        .await
        .unwrap_err();
    assert_eq!(error.lines(), ["error: revision 99 does not exist yet"]);
}

#[tokio::test]
async fn a_closed_port_and_a_server_of_another_kind_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let other = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
    });
    let answered = match connect(&server).await {
        Ok(client) => client.current_revision().await.map(|_| ()),
        Err(error) => Err(error),
    };
    let error = answered.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.lines()[0].contains(&server), "{error:?}");
    other.await.unwrap();

    // Nobody listens there any more.
    let Err(error) = connect(&server).await else {
        panic!("connected to nobody")
    };
    assert_eq!(
        error.lines()[0],
        format!("error: no control plane answers at {server}: Connection refused")
    );
}
