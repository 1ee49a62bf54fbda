//! Targets: registration and merged health.

use tonic::Code;
use v1::target_health::State as Health;

use super::*;

fn target(address: &str, port: u32) -> v1::Target {
    v1::Target {
        address: address.to_owned(),
        port,
        ..Default::default()
    }
}

fn register(targets: Vec<v1::Target>) -> v1::RegisterRequest {
    v1::RegisterRequest {
        target_group: "web".to_owned(),
        targets,
    }
}

fn deregister(targets: Vec<v1::Target>) -> v1::DeregisterRequest {
    v1::DeregisterRequest {
        target_group: "web".to_owned(),
        targets,
    }
}

/// `127.0.0.1:9001 UNUSED Target.NotInUse`, a line for each target.
async fn health(server: &Server, targets: Vec<v1::Target>) -> Vec<String> {
    let request = v1::HealthRequest {
        target_group: "web".to_owned(),
        targets,
    };
    let answer = server.targets().health(request).await.unwrap();
    let line = |health: &v1::TargetHealth| {
        let target = health.target.as_ref().unwrap();
        let name = inlet_proto::name::target_name(&target.address, target.port);
        let state = health.state().as_str_name();
        format!("{name} {state} {}", health.reason)
            .trim_end()
            .to_owned()
    };
    answer.into_inner().targets.iter().map(line).collect()
}

fn verdict(target: &str, state: Health, reason: &str) -> v1::TargetVerdict {
    v1::TargetVerdict {
        target_group: "web".to_owned(),
        target: target.to_owned(),
        state: state as i32,
        reason: reason.to_owned(),
        ..Default::default()
    }
}

async fn report(agent: &Agent, verdicts: Vec<v1::TargetVerdict>) {
    let report = v1::HealthReport {
        verdicts,
        complete: true,
    };
    agent
        .say(v1::agent_message::Kind::HealthReport(report))
        .await;
}

#[tokio::test]
async fn targets_come_and_go_one_revision_each() {
    let server = Server::start().await;
    server.apply(SHOP).await;
    let mut client = server.targets();
    let targets = vec![target("127.0.0.3", 0), target("::1", 9009)];
    let answer = client.register(register(targets)).await.unwrap();
    assert_eq!(answer.into_inner().revision, 2);
    let known = health(&server, Vec::new()).await;
    let expected = [
        "127.0.0.1:9001 UNUSED Target.NotInUse",
        "127.0.0.2:9001 UNUSED Target.NotInUse",
        "127.0.0.3:9001 UNUSED Target.NotInUse",
        "[::1]:9009 UNUSED Target.NotInUse",
    ];
    assert_eq!(known, expected);

    let answer = client
        .deregister(deregister(vec![target("127.0.0.3", 0)]))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().revision, 3);
    let again = client
        .deregister(deregister(vec![target("127.0.0.3", 0)]))
        .await
        .unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
    assert!(again.message().contains("127.0.0.3:9001"), "{again:?}");

    let mut nowhere = register(vec![target("127.0.0.9", 0)]);
    nowhere.target_group = "nothing".to_owned();
    let status = client.register(nowhere).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let status = client.register(register(Vec::new())).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let odd = register(vec![target("nowhere", 0)]);
    let status = client.register(odd).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    server.running.shutdown().await;
}

#[tokio::test]
async fn health_is_merged_over_the_agents() {
    let server = Server::start().await;
    server.apply(SHOP).await;
    let mut one = server.agent("edge-1").await;
    let mut two = server.agent("edge-2").await;
    one.follow(1).await;
    two.follow(1).await;
    eventually("the group is in use", async || {
        let lines = health(&server, Vec::new()).await;
        let expected = "127.0.0.1:9001 INITIAL Elb.RegistrationInProgress";
        (lines[0] == expected).then_some(())
    })
    .await;

    let [a, b] = ["127.0.0.1:9001", "127.0.0.2:9001"];
    let bad = verdict(b, Health::Unhealthy, "Target.Timeout");
    let first = vec![verdict(a, Health::Unhealthy, "Target.Timeout"), bad.clone()];
    report(&one, first).await;
    report(&two, vec![verdict(a, Health::Healthy, ""), bad]).await;
    let expected = [
        "127.0.0.1:9001 HEALTHY",
        "127.0.0.2:9001 UNHEALTHY Target.Timeout",
    ];
    eventually("the reports are merged", async || {
        (health(&server, Vec::new()).await == expected).then_some(())
    })
    .await;

    let removed = deregister(vec![target("127.0.0.1", 0)]);
    server.targets().deregister(removed).await.unwrap();
    let expected = [
        "127.0.0.2:9001 UNHEALTHY Target.Timeout",
        "127.0.0.1:9001 DRAINING Target.DeregistrationInProgress",
    ];
    assert_eq!(health(&server, Vec::new()).await, expected);
    let asked = vec![target("127.0.0.8", 0), target("127.0.0.2", 0)];
    let expected = [
        "127.0.0.8:9001 UNUSED Target.NotRegistered",
        "127.0.0.2:9001 UNHEALTHY Target.Timeout",
    ];
    assert_eq!(health(&server, asked).await, expected);
    server.running.shutdown().await;
}
