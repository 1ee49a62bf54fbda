//! Nothing that stands in a file makes the reader panic, or grow without bound.

use super::round_trip::Seeded;
use super::*;

/// One seeded change of a text: cut, repeat, overwrite or insert.
fn mutate(seeded: &mut Seeded, text: &str) -> String {
    const PIECES: [&str; 16] = [
        "\n---\n", "...", "*a", "&a ", "[", "}", ": ", "- ", "\t", "\"", "'", "|\n", "%YAML",
        "!!str ", "\\ud800", "\u{0}",
    ];
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=seeded.below(4) {
        let (one, other) = (seeded.below(bytes.len() + 1), seeded.below(bytes.len() + 1));
        let (start, end) = (one.min(other), one.max(other));
        match seeded.below(5) {
            0 => bytes.truncate(end),
            1 => drop(bytes.drain(start..end.min(start + 40))),
            2 => {
                let repeated = bytes[start..end.min(start + 40)].to_vec();
                bytes.splice(start..start, repeated);
            }
            3 => {
                let piece = PIECES[seeded.below(PIECES.len())];
                bytes.splice(start..start, piece.bytes());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(start) {
                    *byte = seeded.next().to_le_bytes()[0];
                }
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn mutated_samples_never_panic() {
    let json: Vec<_> = parse_unchecked(NETWORK)
        .iter()
        .map(|resource| to_json(resource, true).to_string())
        .collect();
    let json = json.join("\n");
    for seed in 0..3000 {
        let mut seeded = Seeded(seed);
        let text = [APPLICATION, NETWORK, API, &json][seeded.below(4)];
        let text = mutate(&mut seeded, text);
        let outcome = std::panic::catch_unwind(|| drop(read(&text)));
        assert!(outcome.is_ok(), "seed {seed}: {text}");
    }
}

#[test]
fn random_bytes_never_panic() {
    for seed in 0..2000 {
        let mut seeded = Seeded(seed);
        let bytes: Vec<_> = (0..seeded.below(200))
            .map(|_| seeded.next().to_le_bytes()[0] & 0x7f)
            .collect();
        let text = String::from_utf8_lossy(&bytes);
        let outcome = std::panic::catch_unwind(|| drop(read(&text)));
        assert!(outcome.is_ok(), "seed {seed}: {text:?}");
    }
}

#[test]
fn truncated_samples_never_panic() {
    for (end, _) in NETWORK.char_indices().step_by(7) {
        let _ = read(&NETWORK[..end]);
    }
}

#[test]
fn nesting_is_bounded() {
    let levels = 20_000;
    for piece in ["[", "{a: ", "- ", "? ", "{\"a\":"] {
        let deep = piece.repeat(levels);
        assert_eq!(
            errors(&format!("kind: Rule\nname: {deep}")).len(),
            1,
            "{piece}"
        );
        let [alone] = errors(&deep).try_into().unwrap();
        let bounds = ["levels deep", "recursion", "key must be a text"];
        assert!(
            bounds.iter().any(|bound| alone.contains(bound)),
            "{piece}: {alone}"
        );
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        let list = vec![below; 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    let errors = errors(&text);
    assert_eq!(
        errors,
        ["6: the file has more than 2000000 values, those that aliases repeat included"]
    );
    assert_eq!(
        super::errors("a: &a [*a]"),
        ["1: an alias stands for something that is not complete"]
    );
}
