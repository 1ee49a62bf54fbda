//! Many agents and a large configuration: one target's change is one small message to each, computed once.

use std::time::Instant;

use super::*;

/// A tenth of the aim: the debug build of a test is that much slower.
const AGENTS: usize = 100;
const RULES: usize = 1000;
const TARGETS: usize = 1000;
/// What one changed target may cost each agent, in bytes.
const MAX_CHANGE_BYTES: usize = 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_targets_change_reaches_every_agent_as_one_small_message() {
    let server = Server::start().await;
    server.apply(&large()).await;
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let channel = Endpoint::from_shared(server.running.url()).unwrap();
        let channel = channel.connect().await.unwrap();
        agents.push(Agent::open(&channel, &format!("edge-{number}"), 0, Vec::new()).await);
    }
    for agent in &mut agents {
        agent.follow(1).await;
    }
    let begun = Instant::now();
    let request = v1::RegisterRequest {
        target_group: "web".to_owned(),
        targets: vec![v1::Target {
            address: "10.0.0.1".to_owned(),
            port: 9001,
            weight: Some(7),
            ..Default::default()
        }],
    };
    let answer = server.targets().register(request).await.unwrap();
    assert_eq!(answer.into_inner().revision, 2);
    for agent in &mut agents {
        let delta = agent.part().await;
        assert_eq!(
            (delta.base_revision, delta.revision, delta.parts),
            (1, 2, 1)
        );
        assert_eq!(delta.upserts.len(), 1);
        let bytes = prost::Message::encoded_len(&delta);
        assert!(bytes <= MAX_CHANGE_BYTES, "{bytes} bytes");
    }
    println!("{AGENTS} agents reached in {:?}", begun.elapsed());
    server.running.shutdown().await;
}

fn large() -> String {
    let mut text = String::from(
        "{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [127.0.0.1]}
---
{kind: Listener, name: http, loadBalancer: shop, protocol: HTTP, port: 8080,
 defaultActions: [{forward: {targetGroups: [{name: web}]}}]}
---
{kind: TargetGroup, name: web, protocol: HTTP, port: 9001, targets: [",
    );
    for number in 0..TARGETS {
        text += &format!("{{address: 10.0.{}.{}}}, ", number / 256, number % 256);
    }
    text += "]}\n";
    for number in 1..=RULES {
        text += &format!(
            "---\n{{kind: Rule, name: r{number}, listener: shop/http, priority: {number},
 conditions: [{{pathPattern: {{values: [/{number}]}}}}],
 actions: [{{forward: {{targetGroups: [{{name: web}}]}}}}]}}\n"
        );
    }
    text
}
