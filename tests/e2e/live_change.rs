//! A change under load hurts nobody: no request fails, no connection of others ends, nobody sees a mixture.
//!
//! `prove changes-under-load` and `prove soak` are the long forms.

use inlet_tests::live::{Bystanders, Stage};
use inlet_tests::load::{Clients, Load};

const CHANGES: usize = 200;

#[tokio::test]
async fn two_hundred_changes_under_load_fail_no_request_and_end_no_connection() {
    let stage = Stage::start().await;
    let mut bystanders = Bystanders::open(&stage, 1).await;
    let clients = Clients {
        keeping: 4,
        fresh: 2,
    };
    let load = Load::closed(stage.port, clients);
    for change in 1..=CHANGES {
        stage.change(change).await;
        if change % 50 == 0 {
            bystanders.echo(&format!("change {change}")).await;
        }
    }
    stage.serves(CHANGES).await;
    let outcome = load.stop().await;
    outcome.no_failure();
    assert!(outcome.answered > CHANGES as u64, "{outcome:?}");
    bystanders.echo("still here").await;
    assert!(bystanders.dropped.is_empty(), "{bystanders:?}");
}
