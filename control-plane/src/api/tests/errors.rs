//! Errors: code, message, and every violation in the details.

use tonic::Code;

use super::*;

#[tokio::test]
async fn every_violation_is_in_the_details_with_where_it_is() {
    let server = Server::start().await;
    let bad = "
{kind: TargetGroup, name: web, protocol: HTTP, port: 70000}
---
{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [nowhere]}
";
    // The parser would find these too: a client that does not ask it sends them.
    let upserts = vec![
        v1::Upsert {
            resource: Some(
                v1::TargetGroup {
                    name: "web".to_owned(),
                    protocol: v1::Protocol::Http as i32,
                    port: 70000,
                    ..Default::default()
                }
                .into(),
            ),
            origin: "shop.yaml:2".to_owned(),
            ..Default::default()
        },
        v1::Upsert {
            resource: Some(
                v1::LoadBalancer {
                    name: "shop".to_owned(),
                    r#type: v1::load_balancer::Type::Application as i32,
                    addresses: vec!["nowhere".to_owned()],
                    ..Default::default()
                }
                .into(),
            ),
            origin: "shop.yaml:4".to_owned(),
            ..Default::default()
        },
    ];
    assert!(inlet_proto::manifest::parse(bad, &mut |_| Err(String::new())).is_err());
    let request = v1::ApplyRequest {
        upserts,
        ..Default::default()
    };
    let status = server.configuration().apply(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = details(&status);
    let fields: Vec<_> = details
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "shop.yaml:2: TargetGroup web: port",
            "shop.yaml:4: LoadBalancer shop: addresses[0]"
        ]
    );
    for violation in &details.violations {
        assert_eq!(violation.reason, "MALFORMED");
        let sentence = format!("{}: {}", violation.field, violation.description);
        assert!(status.message().contains(&sentence), "{status:?}");
    }
    server.running.shutdown().await;
}

#[tokio::test]
async fn errors_have_the_codes_of_the_interface() {
    let server = Server::start().await;
    server.apply(SHOP).await;

    let dangling = "{kind: Listener, name: other, loadBalancer: shop, protocol: HTTP, port: 8081,
        defaultActions: [{forward: {targetGroups: [{name: nothing}]}}]}";
    let status = server.try_apply(dangling).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let violation = &details(&status).violations[0];
    assert_eq!(violation.reason, "REFERENCE");
    assert!(
        violation
            .field
            .starts_with("test.yaml:1: Listener shop/other: ")
    );
    assert!(violation.description.contains("nothing"));

    let request = v1::ApplyRequest {
        deletions: vec![key("TargetGroup", "web")],
        ..Default::default()
    };
    let status = server.configuration().apply(request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");

    let request = v1::ApplyRequest {
        expected_revision: Some(7),
        upserts: upserts(SHOP),
        ..Default::default()
    };
    let status = server.configuration().apply(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    let info = details(&status).info.unwrap();
    assert_eq!(info.reason, "REVISION_CONFLICT");
    assert_eq!(info.metadata["currentRevision"], "1");

    for (kind, name, code) in [
        ("TargetGroup", "nothing", Code::NotFound),
        ("TargetGrup", "web", Code::InvalidArgument),
        ("Listener", "shop", Code::InvalidArgument),
    ] {
        let request = v1::GetRequest {
            key: Some(key(kind, name)),
        };
        let status = server.configuration().get(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{kind} {name}");
    }

    let rollback = v1::RollbackRequest {
        revision: 9,
        ..Default::default()
    };
    let status = server.configuration().rollback(rollback).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);

    let missing = v1::GetAgentRequest {
        name: "edge-9".to_owned(),
    };
    let status = server.fleet().get_agent(missing).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    server.running.shutdown().await;
}

#[tokio::test]
async fn lists_refuse_what_cannot_be() {
    let server = Server::start().await;
    server.apply(SHOP).await;
    let list = |kind: &str, parent: &str, filter: &str, size: u32, token: &str| v1::ListRequest {
        kind: kind.to_owned(),
        parent: parent.to_owned(),
        filter: filter.to_owned(),
        page_size: size,
        page_token: token.to_owned(),
    };
    for (request, code, field) in [
        (list("Rul", "", "", 0, ""), Code::InvalidArgument, "kind"),
        (list("", "shop", "", 0, ""), Code::InvalidArgument, "parent"),
        (
            list("Rule", "shop", "", 0, ""),
            Code::InvalidArgument,
            "parent",
        ),
        (
            list("LoadBalancer", "x", "", 0, ""),
            Code::InvalidArgument,
            "parent",
        ),
        (
            list("Rule", "", "name", 0, ""),
            Code::InvalidArgument,
            "filter",
        ),
        (
            list("Rule", "", "", 1001, ""),
            Code::InvalidArgument,
            "pageSize",
        ),
        (
            list("Rule", "", "", 0, "00ff"),
            Code::InvalidArgument,
            "pageToken",
        ),
        (list("Listener", "none", "", 0, ""), Code::NotFound, ""),
    ] {
        let status = server.configuration().list(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        let found = details(&status).violations;
        let found = found
            .first()
            .map_or("", |violation| violation.field.as_str());
        assert_eq!(found, field);
    }
    server.running.shutdown().await;
}

#[tokio::test]
async fn statuses_with_many_violations_still_fit_into_headers() {
    let server = Server::start().await;
    let upsert = |number: u32| v1::Upsert {
        resource: Some(
            v1::TargetGroup {
                name: format!("Not A Name {number}"),
                ..Default::default()
            }
            .into(),
        ),
        ..Default::default()
    };
    let request = v1::ApplyRequest {
        upserts: (0..5000).map(upsert).collect(),
        ..Default::default()
    };
    let status = server.configuration().apply(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let violations = details(&status).violations;
    assert!(violations.len() > 10);
    let last = violations.last().unwrap();
    assert!(last.description.contains("more"), "{last:?}");
    server.running.shutdown().await;
}

#[tokio::test]
async fn names_of_any_length_are_answered_with_a_status() {
    let server = Server::start().await;
    let long = "x".repeat(100_000);
    let request = v1::GetRequest {
        key: Some(key("TargetGroup", &long)),
    };
    let status = server.configuration().get(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    let request = v1::GetAgentRequest { name: long };
    let status = server.fleet().get_agent(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    server.running.shutdown().await;
}

#[tokio::test]
async fn every_deletion_that_cannot_be_is_named() {
    let server = Server::start().await;
    server.apply(SHOP).await;
    let request = v1::ApplyRequest {
        deletions: vec![
            key("Listener", "shop"),
            key("TargetGroup", "web"),
            key("Pod", "x"),
        ],
        ..Default::default()
    };
    let status = server.configuration().apply(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let found = details(&status).violations;
    let fields: Vec<_> = found.iter().map(|found| found.field.as_str()).collect();
    assert_eq!(fields, ["deletions[0]", "deletions[2]"]);
    server.running.shutdown().await;
}

#[tokio::test]
async fn a_target_is_found_however_its_address_is_written() {
    let server = Server::start().await;
    server
        .apply(
            "{kind: TargetGroup, name: web, protocol: TCP, port: 80, targets: [{address: '::1'}]}",
        )
        .await;
    let request = v1::GetRequest {
        key: Some(key("Target", "web/[0:0::1]:80")),
    };
    assert!(server.configuration().get(request).await.is_ok());
    server.running.shutdown().await;
}
