//! Agents' streams by hand, and the fleet as clients see it.

use tonic::Code;

use super::*;

async fn roster(server: &Server, name: &str) -> Option<v1::Agent> {
    let request = v1::GetAgentRequest {
        name: name.to_owned(),
    };
    let agent = server.fleet().get_agent(request).await;
    agent.ok().map(tonic::Response::into_inner)
}

const ANOTHER_GROUP: &str = "{kind: TargetGroup, name: spare, protocol: HTTP, port: 9100}";

#[tokio::test]
async fn an_agent_gets_snapshots_and_what_it_answers_is_known() {
    let server = Server::start().await;
    server.apply(SHOP).await;
    let mut agent = server.agent("edge-1").await;
    let complete = agent.part().await;
    assert_eq!((complete.revision, complete.base_revision), (1, 0));
    assert_eq!((complete.part, complete.parts), (1, 1));
    assert_eq!(complete.upserts.len(), 5);
    agent.ack(1).await;
    eventually("revision 1 is in force", async || {
        let agent = roster(&server, "edge-1").await?;
        (agent.connected && agent.revision_in_force == 1 && agent.resources == 5).then_some(())
    })
    .await;

    // A revision that this agent has nothing of still reaches it, as an empty delta.
    server.apply(ANOTHER_GROUP).await;
    let empty = agent.part().await;
    assert_eq!((empty.revision, empty.base_revision), (2, 1));
    assert!(empty.upserts.is_empty() && empty.removals.is_empty());
    assert_eq!(empty.digest, complete.digest);
    let refusal = v1::Nack {
        revision: 2,
        reasons: vec![v1::refusal::Reason {
            key: Some(key("Listener", "shop/http")),
            message: "port 8080 is taken".to_owned(),
        }],
    };
    agent.say(v1::agent_message::Kind::Nack(refusal)).await;
    let refused = eventually("the refusal is known", async || {
        roster(&server, "edge-1").await?.last_refusal
    })
    .await;
    assert_eq!(refused.revision, 2);
    assert_eq!(refused.reasons[0].message, "port 8080 is taken");
    let known = roster(&server, "edge-1").await.unwrap();
    assert_eq!((known.revision_in_force, known.revision_wanted), (1, 2));

    // The base stays; the next revision carries everything since.
    let mut client = server.targets();
    let request = v1::DeregisterRequest {
        target_group: "web".to_owned(),
        targets: vec![v1::Target {
            address: "127.0.0.2".to_owned(),
            ..Default::default()
        }],
    };
    client.deregister(request).await.unwrap();
    let next = agent.part().await;
    assert_eq!((next.revision, next.base_revision), (3, 1));
    assert_eq!(next.removals, [key("Target", "web/127.0.0.2:9001")]);
    agent.ack(3).await;
    eventually("the refusal is over", async || {
        let agent = roster(&server, "edge-1").await?;
        (agent.last_refusal.is_none() && agent.revision_in_force == 3).then_some(())
    })
    .await;
    server.running.shutdown().await;
    assert_eq!(agent.end().await.code(), Code::Unavailable);
}

#[tokio::test]
async fn an_agent_that_has_everything_gets_an_empty_delta_when_it_comes_back() {
    let server = Server::start().await;
    server.apply(SHOP).await;
    let mut agent = server.agent("edge-1").await;
    let complete = agent.part().await;
    agent.ack(1).await;
    drop(agent);
    server.apply(ANOTHER_GROUP).await;

    let mut agent = Agent::open(&server.channel, "edge-1", 1, complete.digest.clone()).await;
    let delta = agent.part().await;
    assert_eq!((delta.base_revision, delta.revision), (1, 2));
    assert!(delta.upserts.is_empty());
    // Hello on the open stream asks for everything.
    agent.hello("edge-1", 1, complete.digest).await;
    let again = agent.part().await;
    assert_eq!((again.base_revision, again.revision), (0, 2));
    assert_eq!(again.upserts.len(), 5);

    let mut stranger = Agent::open(&server.channel, "edge-2", 1, vec![7; 16]).await;
    assert_eq!(stranger.part().await.base_revision, 0);
    server.running.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_does_not_follow_an_empty_history_says_why_and_gets_the_first_revision() {
    let server = Server::start().await;
    let mut agent = Agent::open(&server.channel, "edge-1", 57, vec![7; 16]).await;
    let empty = agent.part().await;
    assert_eq!((empty.revision, empty.base_revision), (0, 0));
    let refusal = v1::Nack {
        revision: 0,
        reasons: vec![v1::refusal::Reason {
            key: None,
            message: "this agent has revision 57 in force".to_owned(),
        }],
    };
    agent.say(v1::agent_message::Kind::Nack(refusal)).await;
    let known = eventually("the refusal is known", async || {
        let agent = roster(&server, "edge-1").await?;
        agent.last_refusal.is_some().then_some(agent)
    })
    .await;
    // Revision 57 of another history is nothing that is in force of this one.
    assert_eq!((known.revision_in_force, known.revision_wanted), (0, 0));

    server.apply(SHOP).await;
    let first = agent.part().await;
    assert_eq!((first.revision, first.base_revision), (1, 0));
    assert_eq!(first.upserts.len(), 5);
    agent.ack(1).await;
    eventually("the refusal is over", async || {
        let agent = roster(&server, "edge-1").await?;
        (agent.last_refusal.is_none() && agent.revision_in_force == 1).then_some(())
    })
    .await;
    server.running.shutdown().await;
}

#[tokio::test]
async fn a_newer_stream_of_the_same_name_replaces_the_older_one() {
    let server = Server::start().await;
    let mut old = server.agent("edge-1").await;
    old.follow(0).await;
    let mut new = server.agent("edge-1").await;
    let end = old.end().await;
    assert_eq!(end.code(), Code::Aborted);
    assert!(end.message().contains("edge-1"), "{end:?}");
    new.follow(0).await;
    assert!(roster(&server, "edge-1").await.unwrap().connected);
    drop(new);
    eventually("edge-1 is gone", async || {
        let agent = roster(&server, "edge-1").await?;
        (!agent.connected).then_some(())
    })
    .await;
    server.running.shutdown().await;
}

#[tokio::test]
async fn streams_that_break_the_protocol_are_closed_with_a_reason() {
    use v1::agent_message::Kind;
    let server = Server::start().await;
    let mut early = Agent::silent(&server.channel).await;
    early.ack(1).await;
    assert_eq!(early.end().await.code(), Code::FailedPrecondition);

    let mut early = Agent::silent(&server.channel).await;
    early
        .say(Kind::HealthReport(v1::HealthReport::default()))
        .await;
    assert_eq!(early.end().await.code(), Code::FailedPrecondition);

    let mut wild = server.agent("edge-1").await;
    wild.part().await;
    wild.ack(77).await;
    assert_eq!(wild.end().await.code(), Code::InvalidArgument);

    let mut nameless = server.agent("Not A Name").await;
    let end = nameless.end().await;
    assert_eq!(end.code(), Code::InvalidArgument);
    assert_eq!(details(&end).violations[0].field, "hello.name");

    let mut renamed = server.agent("edge-2").await;
    renamed.follow(0).await;
    renamed.hello("edge-3", 0, Vec::new()).await;
    assert_eq!(renamed.end().await.code(), Code::InvalidArgument);

    let mut moved = server.agent("edge-4").await;
    moved.follow(0).await;
    let hello = v1::Hello {
        name: "edge-4".to_owned(),
        labels: [("zone".to_owned(), "b".to_owned())].into(),
        ..Default::default()
    };
    moved.say(Kind::Hello(hello)).await;
    let end = moved.end().await;
    assert_eq!(details(&end).violations[0].field, "hello.labels");
    server.running.shutdown().await;
}

/// Otherwise `apply --wait` would be content with an agent that forwards by something else.
#[tokio::test]
async fn the_current_revision_with_another_content_does_not_count_as_in_force() {
    let server = Server::start().await;
    server.apply(SHOP).await;
    let mut stranger = Agent::open(&server.channel, "edge-1", 1, vec![7; 16]).await;
    assert_eq!(stranger.part().await.base_revision, 0);
    let known = roster(&server, "edge-1").await.unwrap();
    assert_eq!((known.revision_in_force, known.revision_wanted), (0, 1));
    stranger.ack(1).await;
    eventually("revision 1 is in force", async || {
        (roster(&server, "edge-1").await?.revision_in_force == 1).then_some(())
    })
    .await;
    server.running.shutdown().await;
}

#[tokio::test]
async fn watching_agents_tells_all_first_and_then_those_that_change() {
    let server = Server::start().await;
    let mut one = server.agent("edge-1").await;
    one.follow(0).await;
    eventually("edge-1 is known", async || roster(&server, "edge-1").await).await;
    let request = v1::WatchAgentsRequest {};
    let stream = server.fleet().watch_agents(request).await.unwrap();
    let mut stream = stream.into_inner();
    let first = timeout(DEADLINE, stream.message()).await.unwrap();
    let first = first.unwrap().unwrap();
    assert_eq!(first.agents.len(), 1);

    let mut two = server.agent("edge-2").await;
    two.follow(0).await;
    let seen = async {
        loop {
            let answer = stream.message().await.unwrap().unwrap();
            assert!(answer.agents.len() <= 2);
            if answer.agents.iter().any(|agent| agent.name == "edge-2") {
                return;
            }
        }
    };
    timeout(DEADLINE, seen).await.unwrap();
    server.running.shutdown().await;
}
