//! Patterns -> which of them a text matches, without trying them all.
//!
//! Each pattern is found by what every text that matches it must have: the whole text (no wildcard), a beginning, an
//! end, or else some bytes anywhere. Of beginning and end the one that fewer patterns share is taken. What is found so
//! is then matched as a whole. Few patterns are simply tried.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::grams::Grams;
use super::pattern::Pattern;
use super::trie::Trie;

/// Up to this many patterns are tried one by one, which is faster than any index.
const FEW: usize = 6;
/// A beginning or end that more patterns share tells too little, if there is something else.
const SHARED: u32 = 8;

/// Distinct patterns, numbered as they were given.
#[derive(Debug, Default)]
pub(super) struct Index {
    patterns: Box<[Pattern]>,
    /// None = few.
    ways: Option<Box<Ways>>,
}

#[derive(Debug)]
struct Ways {
    whole: HashMap<Box<[u8]>, u32, FixedState>,
    beginnings: Option<Trie<false>>,
    ends: Option<Trie<true>>,
    parts: Option<Grams>,
}

impl Index {
    /// Cost: O(n log n).
    pub(super) fn new(patterns: Vec<Pattern>) -> Self {
        let ways = (patterns.len() > FEW).then(|| Box::new(Ways::new(&patterns)));
        Self {
            patterns: patterns.into(),
            ways,
        }
    }

    /// Calls `visit` with the number of every pattern that the text matches, once each, in no order.
    ///
    /// The text has no control characters. Cost: independent of the number of patterns, but for those that only differ
    /// in what no single beginning, end or part tells.
    #[inline]
    pub(super) fn each(&self, text: &[u8], mut visit: impl FnMut(u32)) {
        let mut try_one = |number: u32, pattern: &Pattern| {
            if pattern.matches_visible(text) {
                visit(number);
            }
        };
        let Some(ways) = &self.ways else {
            for (number, pattern) in (0..).zip(&self.patterns) {
                try_one(number, pattern);
            }
            return;
        };
        let mut try_number = |number: u32| try_one(number, &self.patterns[number as usize]);
        if let Some(trie) = &ways.beginnings {
            trie.each(text, &mut try_number);
        }
        if let Some(trie) = &ways.ends {
            trie.each(text, &mut try_number);
        }
        if let Some(grams) = &ways.parts {
            grams.each(text, &mut try_number);
        }
        if let Some(number) = ways.whole.get(text) {
            visit(*number);
        }
    }
}

impl Ways {
    fn new(patterns: &[Pattern]) -> Self {
        let (mut whole, mut wild) = (HashMap::default(), Vec::new());
        for (number, pattern) in (0..).zip(patterns) {
            match pattern.exact() {
                Some(text) => drop(whole.insert(text.into(), number)),
                None => wild.push((pattern, number)),
            }
        }
        let beginnings_shared = shared(wild.iter().map(|(pattern, _)| pattern.prefix()));
        let ends_shared = shared(wild.iter().map(|(pattern, _)| pattern.suffix()));
        let (mut beginnings, mut ends, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for (pattern, number) in wild {
            let (prefix, suffix) = (pattern.prefix(), pattern.suffix());
            let by_prefix = beginnings_shared[prefix];
            let by_suffix = ends_shared[suffix];
            let literals: Vec<_> = pattern.literals().collect();
            if by_prefix.min(by_suffix) > SHARED && literals.iter().any(|part| !part.is_empty()) {
                parts.push((literals, number));
            } else if by_prefix <= by_suffix {
                beginnings.push((prefix, number));
            } else {
                ends.push((suffix, number));
            }
        }
        Self {
            whole,
            beginnings: (!beginnings.is_empty()).then(|| Trie::new(beginnings)),
            ends: (!ends.is_empty()).then(|| Trie::new(ends)),
            parts: (!parts.is_empty()).then(|| Grams::new(&parts)),
        }
    }
}

/// How many patterns share each literal.
fn shared<'a>(literals: impl Iterator<Item = &'a [u8]>) -> HashMap<&'a [u8], u32, FixedState> {
    let mut counts = HashMap::default();
    for literal in literals {
        *counts.entry(literal).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Case;
    use super::*;

    #[test]
    fn an_index_finds_what_a_scan_finds() {
        let mut random = fastrand::Rng::with_seed(5);
        let word = |random: &mut fastrand::Rng, letters: &str, most: usize| -> String {
            let length = random.usize(0..=most);
            (0..length)
                .map(|_| char::from(random.choice(letters.bytes()).unwrap()))
                .collect()
        };
        let mut matched = 0;
        for round in 0..400 {
            let count = random.usize(0..round + 10);
            let mut patterns: Vec<_> = (0..count)
                .map(|_| Pattern::new(&word(&mut random, "ab/*?", 9), Case::Matters))
                .collect();
            patterns.sort_by_key(|pattern| format!("{pattern:?}"));
            patterns.dedup();
            let index = Index::new(patterns.clone());
            for _ in 0..20 {
                let text = word(&mut random, "ab/", 12);
                let mut found = Vec::new();
                index.each(text.as_bytes(), |number| found.push(number));
                found.sort_unstable();
                let scan = (0..).zip(&patterns);
                let scan: Vec<_> = scan
                    .filter(|(_, pattern)| pattern.matches(text.as_bytes()))
                    .map(|(number, _)| number)
                    .collect();
                assert_eq!(found, scan, "round {round}: {text}");
                matched += scan.len();
            }
        }
        assert!(matched > 10_000, "{matched}");
    }
}
