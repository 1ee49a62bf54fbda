//! The writer over a store in memory.

mod batches;
mod ending;
mod large;
mod rolling_back;

use super::*;
use crate::store::Memory;
use crate::testing::upserts;

/// A writer and the store that it writes to.
struct Desk {
    store: Memory,
    writer: Writer,
}

impl Desk {
    fn open() -> Self {
        Self::with(Memory::default(), Settings::default())
    }

    fn with(store: Memory, settings: Settings) -> Self {
        let writer = Writer::open(Box::new(store.clone()), settings).unwrap();
        Self { store, writer }
    }

    /// Makes a manifest the next revision; gives its number.
    async fn put(&self, text: &str) -> u64 {
        let outcome = self.writer.apply(put(text)).await.unwrap();
        assert!(outcome.committed, "{text}");
        outcome.revision
    }

    async fn delete(&self, names: &[&str]) -> u64 {
        let change = Change {
            deletions: names.iter().map(|name| key(name)).collect(),
            ..Change::default()
        };
        self.writer.apply(change).await.unwrap().revision
    }

    /// `Kind/name`s, in order.
    fn names(&self) -> Vec<String> {
        let state = self.writer.state();
        state.all().map(|(key, _)| key.to_string()).collect()
    }
}

fn put(text: &str) -> Change {
    Change {
        upserts: upserts(text).into_iter().map(Into::into).collect(),
        ..Change::default()
    }
}

fn key(text: &str) -> inlet_proto::name::Key {
    let (kind, name) = text.split_once('/').unwrap();
    inlet_proto::name::Key::parse(kind, name).unwrap()
}

fn group(name: &str) -> String {
    format!("{{kind: TargetGroup, name: {name}, protocol: HTTP, port: 80}}")
}

/// `created TargetGroup/a`, a line for each.
fn lines(outcome: &Outcome) -> Vec<String> {
    let line = |change: &v1::ResourceChange| {
        let key = change.key.as_ref().unwrap();
        let operation = change.operation().as_str_name().to_lowercase();
        format!("{operation} {}/{}", key.kind, key.name)
    };
    outcome.changes.iter().map(line).collect()
}

#[tokio::test]
async fn a_change_is_a_revision_with_author_time_and_message() {
    let desk = Desk::open();
    let change = Change {
        author: "alice".to_owned(),
        message: "open".to_owned(),
        ..put(&format!("{}\n---\n{}", group("a"), group("b")))
    };
    let outcome = desk.writer.apply(change).await.unwrap();
    assert_eq!((outcome.revision, outcome.committed), (1, true));
    assert_eq!(
        lines(&outcome),
        ["created TargetGroup/a", "created TargetGroup/b"]
    );
    let outcome = desk
        .writer
        .apply(put(&format!("{}\n---\n{}", group("a"), group("c"))))
        .await;
    let outcome = outcome.unwrap();
    assert_eq!(
        lines(&outcome),
        ["unchanged TargetGroup/a", "created TargetGroup/c"]
    );
    assert_eq!(outcome.revision, 2);

    let first = desk.writer.revision_record(1).unwrap();
    assert_eq!(
        (first.author.as_str(), first.message.as_str()),
        ("alice", "open")
    );
    let now = jiff::Timestamp::now().as_second();
    let time = first.time.unwrap();
    assert!((now - 60..=now).contains(&time.seconds), "{time:?} {now}");
    let second = desk.writer.revision_record(2).unwrap();
    assert_eq!(second.changes.len(), 1, "what stays as it is is not kept");
    let state = desk.writer.state();
    let kept = state.get(&key("TargetGroup/a")).unwrap().kept().unwrap();
    assert_eq!(
        uuid::Uuid::parse_str(&kept.uid).unwrap().get_version_num(),
        7
    );
    assert_eq!(kept.create_time, first.time);
}

#[tokio::test]
async fn what_changes_nothing_or_is_only_tried_makes_no_revision() {
    let desk = Desk::open();
    desk.put(&group("a")).await;
    let again = desk.writer.apply(put(&group("a"))).await.unwrap();
    assert_eq!((again.revision, again.committed), (1, false));
    assert_eq!(lines(&again), ["unchanged TargetGroup/a"]);
    let tried = Change {
        validate_only: true,
        ..put(&group("b"))
    };
    let tried = desk.writer.apply(tried).await.unwrap();
    assert_eq!((tried.revision, tried.committed), (1, false));
    assert_eq!(lines(&tried), ["created TargetGroup/b"]);
    assert_eq!(desk.names(), ["TargetGroup/a"]);
    assert_eq!(desk.store.lock().batches, [1]);
    assert_eq!(desk.writer.state().revision(), 1);
}

#[tokio::test]
async fn a_change_that_expects_another_revision_is_refused_before_all_else() {
    let desk = Desk::open();
    desk.put(&group("a")).await;
    let expecting = |expected, text: &str| Change {
        expected_revision: Some(expected),
        ..put(text)
    };
    for expected in [0, 2, u64::MAX] {
        let current = 1;
        let refused = desk.writer.apply(expecting(expected, &group("b"))).await;
        assert_eq!(
            refused.unwrap_err(),
            Refused::Conflict { expected, current }
        );
    }
    let outcome = desk.writer.apply(expecting(1, &group("b"))).await.unwrap();
    assert_eq!(outcome.revision, 2);
    let dangling = "{kind: Rule, name: x, listener: a/b, priority: 1, conditions: [{pathPattern: {values: [/x]}}],
        actions: [{fixedResponse: {statusCode: 200}}]}";
    match desk.writer.apply(put(dangling)).await.unwrap_err() {
        Refused::Invalid(violations) => assert_eq!(violations.len(), 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.writer.state().revision(), 2);
}

#[tokio::test]
#[expect(
    clippy::await_holding_lock,
    reason = "the lock is what makes the store wait"
)]
async fn nobody_sees_a_change_before_it_is_durable() {
    let desk = Desk::open();
    let mut states = desk.writer.subscribe();
    let writer = desk.writer.clone();
    let blocked = desk.store.lock();
    let applied = tokio::spawn(async move { writer.apply(put(&group("a"))).await });
    tokio::task::yield_now().await;
    // It is queued; now the thread takes it, and then waits for the store.
    while desk.writer.queue.capacity() < MAX_QUEUED {
        tokio::task::yield_now().await;
    }
    assert_eq!(desk.writer.state().revision(), 0);
    assert!(desk.writer.history(None, 9).is_empty());
    assert!(!applied.is_finished());
    drop(blocked);
    states.changed().await.unwrap();
    assert_eq!(states.borrow().revision(), 1);
    assert_eq!(applied.await.unwrap().unwrap().revision, 1);
}

#[tokio::test]
async fn everything_is_there_again_when_the_store_is_opened_again() {
    let desk = Desk::open();
    desk.put(&group("a")).await;
    desk.put(&group("b")).await;
    desk.delete(&["TargetGroup/a"]).await;
    let before = desk.writer.state();
    let records = desk.writer.history(None, 10);
    desk.writer.clone().close().await;
    let again = Desk::with(desk.store.clone(), Settings::default());
    assert_eq!(again.writer.state().revision(), 3);
    assert!(again.writer.state().all().eq(before.all()));
    assert_eq!(again.writer.history(None, 10), records);
    assert_eq!(again.put(&group("c")).await, 4);
}

#[tokio::test]
async fn the_history_is_bounded_in_the_writer_and_in_the_store() {
    let settings = Settings {
        kept_revisions: 3,
        ..Settings::default()
    };
    let desk = Desk::with(Memory::default(), settings.clone());
    assert_eq!(desk.writer.oldest_revision(), 0);
    assert_eq!(desk.writer.revisions_after(0).unwrap(), []);
    for name in ["a", "b", "c", "d", "e"] {
        desk.put(&group(name)).await;
    }
    let check = |writer: &Writer| {
        let numbers =
            |found: Vec<Arc<v1::Revision>>| found.iter().map(|it| it.revision).collect::<Vec<_>>();
        assert_eq!(writer.oldest_revision(), 3);
        assert_eq!(numbers(writer.revisions_after(2).unwrap()), [3, 4, 5]);
        assert_eq!(writer.revisions_after(1).unwrap_err().revision, 2);
        assert_eq!(numbers(writer.history(None, 2)), [5, 4]);
        assert_eq!(numbers(writer.history(Some(4), 2)), [3]);
        assert_eq!(writer.revision_record(3).unwrap().revision, 3);
        assert_eq!(writer.revision_record(2).unwrap_err().oldest, 3);
    };
    check(&desk.writer);
    let loaded = desk.store.clone().load().unwrap();
    assert_eq!(loaded.records.len(), 3, "the store forgets too");
    desk.writer.clone().close().await;
    check(&Desk::with(desk.store.clone(), settings).writer);
    let to = Rollback {
        to: 2,
        ..Rollback::default()
    };
    match desk.writer.rollback(to.clone()).await.unwrap_err() {
        Refused::Closed => {}
        other => panic!("{other:?}"),
    }
    let desk = Desk::with(desk.store.clone(), Settings::default());
    match desk.writer.rollback(to).await.unwrap_err() {
        Refused::NotKept(not) => assert_eq!((not.revision, not.oldest, not.current), (2, 3, 5)),
        other => panic!("{other:?}"),
    }
}
