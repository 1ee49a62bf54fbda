//! Targets on loopback, probed as an agent does it.

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use v1::target_health::State;

use super::*;
use crate::access_log;
use crate::live;
use crate::table::testing::{group, table, target};
use crate::table::{Group, HealthCheck, Probe};

const DEADLINE: Duration = Duration::from_secs(30);

fn edge() -> Arc<Edge> {
    Arc::new(Edge::start(1, |_| access_log::Writer::default()).unwrap())
}

/// A target whose status can be set; ends with the test's runtime.
async fn origin(id: u32, status: Arc<AtomicU16>) -> Arc<live::Target> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let status = status.load(Ordering::Relaxed);
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    target(id, address)
}

fn checked_often(targets: &[Arc<live::Target>]) -> Group {
    let group = group(0, targets);
    Group {
        health_check: HealthCheck {
            probe: Probe::Http {
                path: "/".into(),
                matcher: [(200, 200)].into(),
            },
            interval: Duration::from_millis(20),
            ..group.health_check.clone()
        },
        ..group
    }
}

/// The next report about this target.
async fn told(
    news: &mut mpsc::Receiver<v1::TargetVerdict>,
    target: &live::Target,
) -> v1::TargetVerdict {
    let name = target.address.to_string();
    let next = async {
        loop {
            let told = news.recv().await.expect("health runs");
            if told.target == name {
                return told;
            }
        }
    };
    timeout(DEADLINE, next).await.expect("a report in time")
}

#[tokio::test]
async fn verdicts_follow_what_targets_answer_and_are_told_once() {
    let edge = edge();
    let (mut health, mut news) = Health::start(Arc::clone(&edge));
    let status = Arc::new(AtomicU16::new(200));
    let target = origin(0, Arc::clone(&status)).await;
    let first = table(vec![checked_often(&[Arc::clone(&target)])]);
    health.follow(&Arc::default(), &first);

    assert_eq!(told(&mut news, &target).await.state(), State::Initial);
    assert_eq!(told(&mut news, &target).await.state(), State::Healthy);
    assert!(target.healthy.load(Ordering::Relaxed));
    status.store(503, Ordering::Relaxed);
    let verdict = told(&mut news, &target).await;
    assert_eq!(
        (verdict.state(), verdict.description.as_str()),
        (
            State::Unhealthy,
            "Health checks failed with these codes: [503]"
        )
    );
    assert!(!target.healthy.load(Ordering::Relaxed));
    assert_eq!(health.all()[0].state(), State::Unhealthy);

    // The same target in a new table: its verdict stays.
    let second = table(vec![Group {
        deregistration_delay: Duration::ZERO,
        ..checked_often(&[Arc::clone(&target)])
    }]);
    health.follow(&first, &second);
    assert_eq!(health.all()[0].state(), State::Unhealthy);
    status.store(200, Ordering::Relaxed);
    assert_eq!(told(&mut news, &target).await.state(), State::Healthy);

    // Gone, with no time to drain.
    health.follow(&second, &Arc::default());
    assert_eq!(told(&mut news, &target).await.state(), State::Unused);
    assert!(target.cut.load(Ordering::Relaxed));
    assert!(health.all().is_empty());
    health.shutdown().await;
    assert!(news.recv().await.is_none());
    assert!(edge.drain(DEADLINE).await);
}

#[tokio::test]
async fn a_slow_listener_misses_nothing_that_still_holds() {
    let edge = edge();
    let (mut health, mut news) = Health::start(Arc::clone(&edge));
    // Many more than reports that may wait, all refusing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let targets: Vec<_> = (0..2 * REPORTS as u32)
        .map(|id| {
            let [_, _, high, low] = id.to_be_bytes();
            target(id, ([127, 1, high, low], port).into())
        })
        .collect();
    let mut group = group(0, &targets);
    group.health_check.interval = Duration::from_millis(100);
    health.follow(&Arc::default(), &table(vec![group]));
    let is_unhealthy = |verdict: &v1::TargetVerdict| verdict.state() == State::Unhealthy;
    let all_unhealthy = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while !health.all().iter().all(is_unhealthy) {
            looks.tick().await;
        }
    };
    timeout(DEADLINE, all_unhealthy).await.unwrap();
    let mut unhealthy = 0;
    while unhealthy < targets.len() {
        let told = timeout(DEADLINE, news.recv()).await.unwrap().unwrap();
        unhealthy += usize::from(told.state() == State::Unhealthy);
    }
    health.shutdown().await;
    assert!(edge.drain(DEADLINE).await);
}

#[tokio::test]
async fn dropping_it_ends_its_task() {
    let edge = edge();
    let (health, mut news) = Health::start(Arc::clone(&edge));
    drop(health);
    assert!(timeout(DEADLINE, news.recv()).await.unwrap().is_none());
    assert!(edge.drain(DEADLINE).await);
}
