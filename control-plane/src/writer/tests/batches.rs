//! Group commit: the thread's work by hand, so that what is in one batch is certain.

use tokio::sync::oneshot;

use super::thread::MAX_BATCH;
use super::*;

type Answered = oneshot::Receiver<Result<Outcome, Refused>>;

/// The writer's thread without the thread.
struct Bench {
    store: Memory,
    core: Core,
    queue: mpsc::Sender<Job>,
    jobs: mpsc::Receiver<Job>,
    history: Arc<RwLock<History>>,
    states: watch::Receiver<Arc<State>>,
}

impl Bench {
    fn new() -> Self {
        let store = Memory::default();
        let loaded = Core::load(Box::new(store.clone()), Settings::default());
        let (core, states, history) = loaded.unwrap();
        let (queue, jobs) = mpsc::channel(4 * MAX_BATCH);
        Self {
            store,
            core,
            queue,
            jobs,
            history,
            states,
        }
    }

    fn ask(&self, change: Change) -> Answered {
        let (reply, answer) = oneshot::channel();
        assert!(self.queue.try_send(Job::Apply(change, reply)).is_ok());
        answer
    }

    fn ask_back(&self, to: u64) -> Answered {
        let (reply, answer) = oneshot::channel();
        let rollback = Rollback {
            to,
            ..Rollback::default()
        };
        let queued = self.queue.try_send(Job::Rollback(rollback, reply));
        assert!(queued.is_ok());
        answer
    }

    /// Serves until the queue is empty.
    fn serve(&mut self) {
        while let Ok(job) = self.jobs.try_recv() {
            assert!(self.core.serve(job, &mut self.jobs).is_none());
        }
    }

    fn batches(&self) -> Vec<usize> {
        std::mem::take(&mut self.store.lock().batches)
    }

    fn revision(&self) -> u64 {
        self.states.borrow().revision()
    }
}

#[test]
fn what_waits_is_appended_together_and_each_is_a_revision() {
    let mut bench = Bench::new();
    let answers: Vec<_> = (0..50)
        .map(|number| bench.ask(put(&group(&format!("g{number}")))))
        .collect();
    bench.serve();
    assert_eq!(bench.batches(), [50], "one append, one sync");
    for (number, mut answer) in answers.into_iter().enumerate() {
        let outcome = answer.try_recv().unwrap().unwrap();
        assert_eq!(outcome.revision, number as u64 + 1);
    }
    assert_eq!(bench.revision(), 50);
    let kept = bench.history.read().unwrap();
    let numbers = kept.records().map(|record| record.revision);
    assert!(numbers.eq(1..=50));
}

#[test]
fn batches_are_bounded_by_number_and_by_bytes() {
    let mut bench = Bench::new();
    let count = 2 * MAX_BATCH + 7;
    let answers: Vec<_> = (0..count)
        .map(|number| bench.ask(put(&group(&format!("g{number}")))))
        .collect();
    bench.serve();
    assert_eq!(bench.batches(), [MAX_BATCH, MAX_BATCH, 7]);
    drop(answers);
    let filler = "x".repeat(250);
    let large = |number: usize| {
        let groups = (0..6000).map(|at| {
            format!("{{kind: TargetGroup, name: l{number}-{at}, protocol: HTTP, port: 80, tags: {{filler: {filler}}}}}")
        });
        put(&groups.collect::<Vec<_>>().join("\n---\n"))
    };
    let answers: Vec<_> = (0..4).map(|number| bench.ask(large(number))).collect();
    bench.serve();
    assert_eq!(bench.batches(), [2, 2], "each is a little more than 2 MiB");
    drop(answers);
}

#[test]
fn each_change_of_a_batch_is_judged_on_those_before_it() {
    let mut bench = Bench::new();
    let needs = "{kind: LoadBalancer, name: shop, type: APPLICATION}
---
{kind: Listener, name: http, loadBalancer: shop, protocol: HTTP, port: 80,
 defaultActions: [{forward: {targetGroups: [{name: a}]}}]}";
    let deletion = |name: &str| Change {
        deletions: vec![key(name)],
        ..Change::default()
    };
    let mut early = bench.ask(put(needs));
    let mut first = bench.ask(put(&group("a")));
    let mut again = bench.ask(put(&group("a")));
    let mut second = bench.ask(put(needs));
    let mut used = bench.ask(deletion("TargetGroup/a"));
    let mut expecting = bench.ask(Change {
        expected_revision: Some(2),
        ..deletion("LoadBalancer/shop")
    });
    bench.serve();
    assert_eq!(bench.batches(), [3]);
    assert!(matches!(
        early.try_recv().unwrap(),
        Err(Refused::Invalid(_))
    ));
    assert_eq!(first.try_recv().unwrap().unwrap().revision, 1);
    let again = again.try_recv().unwrap().unwrap();
    assert_eq!((again.revision, again.committed), (1, false));
    assert_eq!(second.try_recv().unwrap().unwrap().revision, 2);
    assert!(matches!(used.try_recv().unwrap(), Err(Refused::Invalid(_))));
    assert_eq!(expecting.try_recv().unwrap().unwrap().revision, 3);
}

#[test]
fn if_the_append_fails_nothing_of_the_batch_was_ever_there() {
    let mut bench = Bench::new();
    let mut kept = bench.ask(put(&group("kept")));
    bench.serve();
    assert!(kept.try_recv().unwrap().is_ok());
    bench.store.lock().is_full = true;
    let mut conflict = bench.ask(Change {
        expected_revision: Some(7),
        ..put(&group("x"))
    });
    let mut same = bench.ask(put(&group("kept")));
    let mut first = bench.ask(put(&group("a")));
    let mut again = bench.ask(put(&group("a")));
    let mut tried = bench.ask(Change {
        validate_only: true,
        ..put(&group("b"))
    });
    let mut expecting = bench.ask(Change {
        expected_revision: Some(1),
        ..put(&group("c"))
    });
    bench.serve();
    // Those before the first pending change rest on what is durable.
    let current = 1;
    assert_eq!(
        conflict.try_recv().unwrap().unwrap_err(),
        Refused::Conflict {
            expected: 7,
            current
        }
    );
    assert!(!same.try_recv().unwrap().unwrap().committed);
    for answer in [&mut first, &mut again, &mut tried, &mut expecting] {
        match answer.try_recv().unwrap().unwrap_err() {
            Refused::Storage { message } => {
                assert!(message.starts_with("cannot write "), "{message}")
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.revision(), 1);
    assert_eq!(bench.history.read().unwrap().oldest(), 1);
    assert_eq!(bench.batches(), [1]);
    // Space is there again.
    bench.store.lock().is_full = false;
    let mut first = bench.ask(put(&group("a")));
    bench.serve();
    assert_eq!(first.try_recv().unwrap().unwrap().revision, 2);
}

#[test]
fn going_back_sees_the_changes_that_waited_before_it() {
    let mut bench = Bench::new();
    let first = bench.ask(put(&group("a")));
    let second = bench.ask(put(&group("b")));
    let mut back = bench.ask_back(1);
    let third = bench.ask(put(&group("c")));
    bench.serve();
    assert_eq!(bench.batches(), [2, 2]);
    let back = back.try_recv().unwrap().unwrap();
    assert_eq!(back.revision, 3);
    assert_eq!(lines(&back), ["deleted TargetGroup/b"]);
    for (mut answer, revision) in [(first, 1), (second, 2), (third, 4)] {
        assert_eq!(answer.try_recv().unwrap().unwrap().revision, revision);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_share_syncs_and_get_revisions_of_their_own() {
    const WRITERS: usize = 100;
    let desk = Desk::open();
    let blocked = desk.store.lock();
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let writer = desk.writer.clone();
            tokio::spawn(async move { writer.apply(put(&group(&format!("g{number}")))).await })
        })
        .collect();
    drop(blocked);
    let mut revisions = Vec::new();
    for writer in writers {
        revisions.push(writer.await.unwrap().unwrap().revision);
    }
    revisions.sort_unstable();
    assert!(revisions.into_iter().eq(1..=WRITERS as u64));
    let batches = desk.store.lock().batches.clone();
    assert_eq!(batches.iter().sum::<usize>(), WRITERS);
    println!("{WRITERS} changes in {} appends", batches.len());
}
