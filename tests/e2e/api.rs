//! The gRPC services as a script in any language would use them.

use inlet_proto::v1;
use inlet_proto::v1::fleet_client::FleetClient;
use inlet_tests::World;
use inlet_tests::eventually::seconds;
use inlet_tests::manifest::{application, documents, group, network};
use tokio::time::timeout;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

#[tokio::test]
async fn health_and_reflection_are_there_for_standard_tools() {
    let world = World::start(&[]).await;
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let health = HealthClient::new(world.channel())
        .check(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);

    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(world.channel());
    let requests = futures_util::stream::iter([request]);
    let mut answers = client
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(listed)) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<&str> = listed
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for name in ["Configuration", "Targets", "Fleet", "AgentDiscovery"] {
        assert!(
            names.contains(&format!("inlet.v1.{name}").as_str()),
            "{names:?}"
        );
    }
}

#[tokio::test]
async fn lists_come_in_pages_and_can_be_filtered() {
    let world = World::start(&[]).await;
    let groups: Vec<String> = (0..25)
        .map(|number| group(&format!("g-{number:02}"), &[]))
        .collect();
    let tagged = application("shop") + "tags: {team: storefront}\n";
    world
        .apply_directly(&documents(&[documents(&groups), tagged, network("wire")]))
        .await;

    let mut names = Vec::new();
    let mut request = v1::ListRequest {
        kind: "TargetGroup".to_owned(),
        page_size: 10,
        ..Default::default()
    };
    loop {
        let page = world
            .configuration()
            .list(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.resources.len() <= 10);
        names.extend(page.resources.iter().map(|group| group.key().unwrap().name));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let expected: Vec<String> = (0..25).map(|number| format!("g-{number:02}")).collect();
    assert_eq!(names, expected);

    for (filter, expected) in [
        ("tags.team = storefront", &["shop"][..]),
        ("type = NETWORK", &["wire"]),
        ("type != NETWORK AND name : ho", &["shop"]),
        ("tags.team = other", &[]),
    ] {
        let kind = "LoadBalancer".to_owned();
        let request = v1::ListRequest {
            kind,
            filter: filter.to_owned(),
            ..Default::default()
        };
        let page = world
            .configuration()
            .list(request)
            .await
            .unwrap()
            .into_inner();
        let names: Vec<String> = page
            .resources
            .iter()
            .map(|resource| resource.key().unwrap().name)
            .collect();
        assert_eq!(names, expected, "{filter}");
    }
}

#[tokio::test]
async fn errors_have_the_status_that_fits() {
    let world = World::start(&[]).await;
    let mut configuration = world.configuration();
    let key = |kind: &str, name: &str| {
        Some(v1::ResourceKey {
            kind: kind.to_owned(),
            name: name.to_owned(),
        })
    };
    let get = async |kind: &str, name: &str| {
        let request = v1::GetRequest {
            key: key(kind, name),
        };
        world
            .configuration()
            .get(request)
            .await
            .expect_err("nothing is there")
            .code()
    };
    assert_eq!(get("Rule", "shop/http/none").await, Code::NotFound);
    assert_eq!(get("Rul", "shop/http/none").await, Code::InvalidArgument);
    assert_eq!(get("Rule", "none").await, Code::InvalidArgument);

    let nothing = v1::ApplyRequest {
        upserts: vec![v1::Upsert::default()],
        ..Default::default()
    };
    assert_eq!(
        configuration
            .apply(nothing)
            .await
            .expect_err("an empty upsert")
            .code(),
        Code::InvalidArgument
    );
    let deletions = vec![key("TargetGroup", "none").unwrap()];
    let deletion = v1::ApplyRequest {
        deletions,
        ..Default::default()
    };
    assert_eq!(
        configuration
            .apply(deletion)
            .await
            .expect_err("it is not there")
            .code(),
        Code::NotFound
    );
    let rollback = v1::RollbackRequest {
        revision: 99,
        ..Default::default()
    };
    assert_eq!(
        configuration
            .rollback(rollback)
            .await
            .expect_err("it is not kept")
            .code(),
        Code::OutOfRange
    );
    assert_eq!(world.revision().await, 0);
}

#[tokio::test]
async fn watching_agents_shows_them_come_and_go() {
    let mut world = World::start(&[]).await;
    let mut stream = FleetClient::new(world.channel())
        .watch_agents(v1::WatchAgentsRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(
        stream.message().await.unwrap().unwrap().agents.is_empty(),
        "first all that are known"
    );
    let mut until = async |connected: bool| {
        let seen = async {
            loop {
                let answer = stream.message().await.unwrap().expect("no end");
                if answer
                    .agents
                    .iter()
                    .any(|agent| agent.name == "edge-1" && agent.connected == connected)
                {
                    return;
                }
            }
        };
        timeout(seconds(30), seen)
            .await
            .unwrap_or_else(|_| panic!("edge-1 does not become connected = {connected}"));
    };
    world.add_agent("edge-1", &[]);
    until(true).await;
    world.agent("edge-1").kill().await;
    until(false).await;
}
