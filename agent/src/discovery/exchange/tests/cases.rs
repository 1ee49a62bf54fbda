//! What comes in and what goes out for it, case by case.

use super::*;

fn one() -> Groups {
    groups(&[("a", 1), ("b", 1)])
}

fn two() -> Groups {
    groups(&[("a", 1), ("b", 2)])
}

fn three() -> Groups {
    groups(&[("b", 2), ("c", 3)])
}

fn complete(revision: u64, groups: &Groups) -> Input {
    Input::Part(snapshot(None, revision, groups))
}

fn delta(base: (u64, &Groups), revision: u64, groups: &Groups) -> Input {
    Input::Part(snapshot(Some(base), revision, groups))
}

fn numbered(part: u32, parts: u32) -> Input {
    Input::Part(v1::Snapshot {
        part,
        parts,
        ..snapshot(None, 1, &one())
    })
}

fn wrong(base: Option<(u64, &Groups)>, revision: u64) -> Input {
    Input::Part(v1::Snapshot {
        digest: vec![7; 16],
        ..snapshot(base, revision, &two())
    })
}

/// A case, what comes in and what goes out for it, the revision in force at the end, and its content.
type Case = (&'static str, Vec<(Input, &'static str)>, u64, Groups);

/// Plays each case to an agent that has revision 1.
fn play<const N: usize>(cases: [Case; N]) {
    for (name, steps, revision, content) in cases {
        let mut exchange = Exchange::default();
        let start = [
            (Input::Open, "hello 0"),
            (complete(1, &one()), "apply 1: a b"),
            (Input::Applied, "ack 1"),
        ];
        for (input, expected) in start.into_iter().chain(steps) {
            let output = exchange.observe(input, Instant::now());
            assert_eq!(describe(output), expected, "{name}");
        }
        assert_eq!(exchange.revision(), revision, "{name}");
        assert_eq!(seen(&exchange), content, "{name}");
        assert_eq!(exchange.digest(), digest(&content), "{name}");
    }
}

#[test]
fn exchanges_go_as_the_interface_says() {
    use Input::Applied;
    play([
        (
            "everything first, then what differs",
            vec![
                (delta((1, &one()), 2, &two()), "apply 2: b"),
                (Applied, "ack 2"),
                (delta((2, &two()), 3, &three()), "apply 3: a c"),
                (Applied, "ack 3"),
            ],
            3,
            three(),
        ),
        (
            "a refusal changes nothing, and the base stays",
            vec![
                (delta((1, &one()), 3, &three()), "apply 3: a b c"),
                (refused(), "nack 3: no"),
                (delta((1, &one()), 2, &two()), "apply 2: b"),
                (Applied, "ack 2"),
            ],
            2,
            two(),
        ),
        (
            "a complete snapshot changes only what differs",
            vec![
                (complete(2, &two()), "apply 2: b"),
                (Applied, "ack 2"),
                (complete(3, &two()), "apply 3: "),
                (Applied, "ack 3"),
            ],
            3,
            two(),
        ),
        (
            "a delta with another base asks for everything",
            vec![
                (delta((2, &two()), 3, &three()), "hello 1"),
                (delta((2, &two()), 3, &three()), ""),
                (complete(3, &three()), "apply 3: a b c"),
                (Applied, "ack 3"),
            ],
            3,
            three(),
        ),
        (
            "a delta with a wrong digest asks for everything",
            vec![(wrong(Some((1, &one())), 2), "hello 1")],
            1,
            one(),
        ),
        (
            "a complete snapshot with a wrong digest is refused: asking again would not help",
            vec![(
                wrong(None, 2),
                "nack 2: the digest of the complete snapshot does not match its content",
            )],
            1,
            one(),
        ),
    ]);
}

#[test]
fn parts_make_a_snapshot_in_their_order() {
    use Input::{Applied, Lost, Open};
    play([
        (
            "parts come in order",
            vec![
                (numbered(1, 3), ""),
                (
                    numbered(3, 3),
                    "close: part 3 of 3 of revision 1 came out of turn",
                ),
                (Lost, ""),
                (Open, "hello 1"),
            ],
            1,
            one(),
        ),
        (
            "a part that begins nothing is out of turn",
            vec![(
                numbered(2, 2),
                "close: part 2 of 2 of revision 1 came out of turn",
            )],
            1,
            one(),
        ),
        (
            "a snapshot without parts is none",
            vec![(
                numbered(1, 0),
                "close: part 1 of 0 of revision 1 came out of turn",
            )],
            1,
            one(),
        ),
        (
            "a new snapshot may begin before the last one is complete",
            vec![
                (numbered(1, 3), ""),
                (complete(2, &two()), "apply 2: b"),
                (Applied, "ack 2"),
            ],
            2,
            two(),
        ),
        (
            "a half-told snapshot ends with its stream",
            vec![
                (numbered(1, 2), ""),
                (Lost, ""),
                (Open, "hello 1"),
                (
                    numbered(2, 2),
                    "close: part 2 of 2 of revision 1 came out of turn",
                ),
            ],
            1,
            one(),
        ),
    ]);
}

#[test]
fn a_decision_is_told_whatever_came_between() {
    use Input::{Applied, Lost, Open};
    play([
        (
            "a decision on a lost stream is taken, and told by the next Hello",
            vec![
                (delta((1, &one()), 2, &two()), "apply 2: b"),
                (Lost, ""),
                (Applied, ""),
                (Open, "hello 2"),
                (delta((2, &two()), 2, &two()), "apply 2: "),
                (Applied, "ack 2"),
            ],
            2,
            two(),
        ),
        (
            "a refusal on a lost stream changes nothing",
            vec![
                (delta((1, &one()), 2, &two()), "apply 2: b"),
                (Lost, ""),
                (refused(), ""),
                (Open, "hello 1"),
            ],
            1,
            one(),
        ),
        (
            "nothing comes between a snapshot and its answer",
            vec![
                (delta((1, &one()), 2, &two()), "apply 2: b"),
                (
                    complete(3, &three()),
                    "close: part 1 of 1 of revision 3 came out of turn",
                ),
                (Applied, ""),
                (Open, "hello 2"),
            ],
            2,
            two(),
        ),
    ]);
}
