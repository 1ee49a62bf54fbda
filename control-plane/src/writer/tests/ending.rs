//! The end of the writer: asked for, and by breaking.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::store::{Entry, Loaded};

const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn closing_finishes_what_is_queued_and_refuses_what_comes_later() {
    let desk = Desk::open();
    let writers: Vec<_> = (0..20)
        .map(|number| {
            let writer = desk.writer.clone();
            tokio::spawn(async move { writer.apply(put(&group(&format!("g{number}")))).await })
        })
        .collect();
    tokio::task::yield_now().await;
    desk.writer.clone().close().await;
    for writer in writers {
        assert!(writer.await.unwrap().is_ok());
    }
    timeout(DEADLINE, desk.writer.ended()).await.unwrap();
    let late = desk.writer.apply(put(&group("late"))).await;
    assert_eq!(late.unwrap_err(), Refused::Closed);
    assert_eq!(desk.writer.state().revision(), 20, "it can still be read");
    desk.writer.clone().close().await;
    let mut states = desk.writer.subscribe();
    states.borrow_and_update();
    assert!(states.changed().await.is_err(), "watchers learn it");
}

#[tokio::test]
async fn the_store_is_closed_when_close_returns_and_with_the_last_handle() {
    let dropped = Arc::new(AtomicBool::new(false));
    for by_close in [true, false] {
        dropped.store(false, Ordering::SeqCst);
        let store = Odd {
            _dropped: Dropped(Arc::clone(&dropped)),
            ..Odd::default()
        };
        let writer = Writer::open(Box::new(store), Settings::default()).unwrap();
        if by_close {
            writer.close().await;
            assert!(dropped.load(Ordering::SeqCst));
        } else {
            drop(writer);
            let ended = async {
                while !dropped.load(Ordering::SeqCst) {
                    tokio::task::yield_now().await;
                }
            };
            timeout(DEADLINE, ended).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_writer_that_breaks_leaves_nobody_hanging() {
    let store = Odd {
        panics: true,
        ..Odd::default()
    };
    let writer = Writer::open(Box::new(store), Settings::default()).unwrap();
    let asked: Vec<_> = (0..10)
        .map(|number| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.apply(put(&group(&format!("g{number}")))).await })
        })
        .collect();
    for asked in asked {
        let answer = timeout(DEADLINE, asked).await.unwrap().unwrap();
        assert_eq!(answer.unwrap_err(), Refused::Closed);
    }
    timeout(DEADLINE, writer.ended()).await.unwrap();
    assert_eq!(writer.state().revision(), 0);
    timeout(DEADLINE, writer.close()).await.unwrap();
}

#[tokio::test]
async fn a_store_that_wants_an_export_gets_everything() {
    let exports = Arc::new(AtomicUsize::new(0));
    let store = Odd {
        exports: Arc::clone(&exports),
        wants_export: true,
        ..Odd::default()
    };
    let writer = Writer::open(Box::new(store), Settings::default()).unwrap();
    for name in ["a", "b"] {
        writer.apply(put(&group(name))).await.unwrap();
    }
    writer.close().await;
    // Revision, resources and records of each export are alike here, and failing is no harm.
    assert!(exports.load(Ordering::SeqCst) >= 2);
}

/// A store that does odd things.
#[derive(Default)]
struct Odd {
    memory: Memory,
    panics: bool,
    wants_export: bool,
    exports: Arc<AtomicUsize>,
    /// Says when the store is dropped.
    _dropped: Dropped,
}

#[derive(Default)]
struct Dropped(Arc<AtomicBool>);

impl Store for Odd {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        self.memory.load()
    }

    fn append(&mut self, batch: &[Entry], oldest: u64) -> Result<(), StoreError> {
        assert!(!self.panics, "this store breaks");
        self.memory.append(batch, oldest)
    }

    fn wants_export(&self) -> bool {
        self.wants_export
    }

    fn export(&mut self, whole: &mut dyn FnMut() -> Loaded) -> Result<(), StoreError> {
        let whole = whole();
        let kept = self.memory.load()?;
        assert_eq!(whole.revision, kept.revision);
        assert_eq!(whole.resources, kept.resources);
        assert_eq!(whole.records, kept.records);
        self.exports.fetch_add(1, Ordering::SeqCst);
        Err(StoreError::NotAFolder {
            folder: "nowhere".into(),
        })
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
