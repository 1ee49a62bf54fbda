//! A control plane without any configuration against an agent that forwards.

use super::*;

#[test]
fn a_control_plane_that_has_lost_everything_is_not_obeyed_until_something_is_applied_there() {
    let nothing = Groups::new();
    let [one, other] = [groups(&[("a", 1)]), groups(&[("b", 1)])];
    let complete = |revision, groups| Input::Part(snapshot(None, revision, groups));
    let delta = |base, revision, groups| Input::Part(snapshot(Some(base), revision, groups));
    let why = "nack 0: the control plane has no configuration at all (revision 0), and this agent has revision 7 in \
               force: does the control plane run on the right --data-dir? Revision 7 stays in force until something \
               is applied there";
    let cases = [
        (
            "a new agent takes the empty beginning",
            vec![(complete(0, &nothing), "apply 0: ")],
        ),
        (
            "one that forwards does not, on this stream and on the next",
            vec![
                (complete(7, &one), "apply 7: a"),
                (Input::Applied, "ack 7"),
                (complete(0, &nothing), why),
                (Input::Lost, ""),
                (Input::Open, "hello 7"),
                (complete(0, &nothing), why),
                (complete(1, &other), "apply 1: a b"),
                (Input::Applied, "ack 1"),
            ],
        ),
        (
            "the empty beginning is refused as a delta too",
            vec![
                (complete(7, &one), "apply 7: a"),
                (Input::Applied, "ack 7"),
                (delta((7, &one), 0, &nothing), why),
            ],
        ),
        (
            "everything removed on purpose is a revision like any other",
            vec![
                (complete(7, &one), "apply 7: a"),
                (Input::Applied, "ack 7"),
                (delta((7, &one), 8, &nothing), "apply 8: a"),
                (Input::Applied, "ack 8"),
                (complete(0, &nothing), "apply 0: "),
            ],
        ),
    ];
    for (name, steps) in cases {
        let mut exchange = Exchange::default();
        exchange.observe(Input::Open, Instant::now());
        for (input, expected) in steps {
            let output = exchange.observe(input, Instant::now());
            assert_eq!(describe(output), expected, "{name}");
        }
    }
}
