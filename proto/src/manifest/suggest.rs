//! Near-miss hints: what someone may have meant by a word that is not known.

use super::tree::shown;

/// Words longer than this are nobody's slip; it also bounds the cost.
const MAX_CHARS: usize = 64;

/// The candidate nearest to a word, if it is near: by edits, case, `-` and `_` aside.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = folded(word);
    let chars = word.chars().count();
    if chars > MAX_CHARS {
        return None;
    }
    let distances = candidates.iter().map(|candidate| {
        let distance = strsim::damerau_levenshtein(&word, &folded(candidate));
        (distance, *candidate)
    });
    distances
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= (chars / 3).max(1) && *distance < chars.max(1))
        .map(|(_, candidate)| candidate)
}

/// `unknown field 'prot': did you mean 'port'?`, or the list of what is known.
pub(super) fn unknown(what: &str, word: &str, candidates: &[&str]) -> String {
    let shown = shown(word);
    match nearest(word, candidates) {
        Some(near) => format!("unknown {what} '{shown}': did you mean '{near}'?"),
        None => format!(
            "unknown {what} '{shown}': known are {}",
            candidates.join(", ")
        ),
    }
}

fn folded(word: &str) -> String {
    let letters = word.chars().filter(|c| !matches!(c, '-' | '_'));
    letters
        .flat_map(char::to_lowercase)
        .take(MAX_CHARS + 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_strangers_are_not() {
        let fields = ["name", "port", "protocol", "loadBalancer"];
        for (word, near) in [
            ("prot", Some("port")),
            ("ports", Some("port")),
            ("load_balancer", Some("loadBalancer")),
            ("Load-Balancer", Some("loadBalancer")),
            ("protocl", Some("protocol")),
            ("weight", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &fields), near, "{word}");
        }
        assert_eq!(nearest(&"port".repeat(1000), &fields), None);
    }
}
