//! One writer: change after change through the API, each of several resources at once, until the control plane is gone.

use inlet_proto::v1;
use inlet_proto::v1::configuration_client::ConfigurationClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::ledger::{LISTENER, Standing, TARGETS, group_name, message, rule_name, weight};

/// What a writer did in one round.
#[derive(Debug)]
pub(super) struct Written {
    /// Which writer.
    pub(super) writer: usize,
    /// (revision, number) of the changes that were acknowledged, in order.
    pub(super) acknowledged: Vec<(u64, u64)>,
    /// The last number that was tried.
    pub(super) attempted: u64,
    /// A refusal, which none of its changes deserves.
    pub(super) refused: Option<String>,
}

/// Writes until an answer does not come. Never gives a number twice, whatever became of it.
pub(super) async fn write(url: String, writer: usize, standing: Standing) -> Written {
    let channel: Channel = Endpoint::from_shared(url).expect("a URL").connect_lazy();
    let mut configuration = ConfigurationClient::new(channel);
    let mut written = Written {
        writer,
        acknowledged: Vec::new(),
        attempted: standing.attempted,
        refused: None,
    };
    let mut stored = standing.stored;
    loop {
        written.attempted += 1;
        let number = written.attempted;
        match configuration.apply(change(writer, number, stored)).await {
            Ok(answer) => {
                let revision = answer.into_inner().revision;
                written.acknowledged.push((revision, number));
                stored = Some(number);
            }
            Err(status) => {
                written.refused = is_refusal(&status)
                    .then(|| format!("{} was refused: {status}", message(writer, number)));
                return written;
            }
        }
    }
}

/// Replaces the writer's rule, and its target group of number `stored` by one of number `number`.
fn change(writer: usize, number: u64, stored: Option<u64>) -> v1::ApplyRequest {
    let key = |number| v1::ResourceKey {
        kind: "TargetGroup".to_owned(),
        name: group_name(writer, number),
    };
    let upsert = |resource| v1::Upsert {
        resource: Some(resource),
        all_targets: true,
        ..Default::default()
    };
    v1::ApplyRequest {
        upserts: vec![
            upsert(rule(writer, number).into()),
            upsert(group(writer, number).into()),
        ],
        deletions: stored.map(key).into_iter().collect(),
        message: message(writer, number),
        ..Default::default()
    }
}

fn rule(writer: usize, number: u64) -> v1::Rule {
    let path = v1::condition::Kind::PathPattern(v1::ValuesCondition {
        values: vec![format!("/{writer}")],
        ..Default::default()
    });
    let response = v1::FixedResponse {
        status_code: 200,
        content_type: "text/plain".to_owned(),
        body: number.to_string(),
    };
    v1::Rule {
        name: rule_name(writer),
        listener: LISTENER.to_owned(),
        priority: u32::try_from(writer + 1).expect("few writers"),
        conditions: vec![v1::Condition { kind: Some(path) }],
        actions: vec![v1::Action {
            kind: Some(v1::action::Kind::FixedResponse(response)),
        }],
        ..Default::default()
    }
}

fn group(writer: usize, number: u64) -> v1::TargetGroup {
    let target = |last| v1::Target {
        address: format!("127.0.0.{last}"),
        weight: Some(weight(number)),
        ..Default::default()
    };
    v1::TargetGroup {
        name: group_name(writer, number),
        protocol: v1::Protocol::Http.into(),
        port: 80,
        targets: (1..=TARGETS).map(target).collect(),
        ..Default::default()
    }
}

/// Whether the control plane said no, instead of nothing.
fn is_refusal(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
    )
}
