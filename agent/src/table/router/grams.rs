//! Patterns that have no telling beginning or end (`*tenant-7*`), found by a few bytes that their texts must contain.
//!
//! Of each pattern one gram is kept: up to [`LONGEST`] bytes in a row of one of its literals, the one that the fewest
//! other patterns have. A text is looked through once, gram by gram; only patterns whose gram it has are candidates.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use smallvec::{SmallVec, smallvec};

use super::lists::Lists;

/// Bytes of a gram; fewer only if no literal of the pattern has as many.
const LONGEST: usize = 4;
/// Bits for grams seen in a text that need no allocation: 2048.
const SEEN_WORDS: usize = 32;

/// Ids by gram.
#[derive(Debug)]
pub(super) struct Grams {
    /// Number of each gram.
    numbers: HashMap<u64, u32, FixedState>,
    /// Lengths that occur.
    lengths: Box<[usize]>,
    /// Ids by number of the gram.
    ids: Lists,
}

impl Grams {
    /// From the literals of each pattern, of which at least one is not empty, and its id.
    pub(super) fn new(patterns: &[(Vec<&[u8]>, u32)]) -> Self {
        let mut counts: HashMap<u64, u32, FixedState> = HashMap::default();
        for gram in patterns
            .iter()
            .flat_map(|(literals, _)| of_pattern(literals))
        {
            *counts.entry(gram).or_default() += 1;
        }
        let mut numbers = HashMap::default();
        let mut pairs = Vec::with_capacity(patterns.len());
        for (literals, id) in patterns {
            let rarest = of_pattern(literals).min_by_key(|gram| counts[gram]);
            let next = numbers.len() as u32;
            let number = rarest.map(|gram| *numbers.entry(gram).or_insert(next));
            pairs.extend(number.map(|number| (number, *id)));
        }
        let occurs = |length: &usize| numbers.keys().any(|gram| length_of(*gram) == *length);
        Self {
            lengths: (1..=LONGEST).filter(occurs).collect(),
            ids: Lists::new(numbers.len(), &pairs),
            numbers,
        }
    }

    /// Calls `visit` with the id of every pattern whose gram the text has, once each.
    pub(super) fn each(&self, text: &[u8], mut visit: impl FnMut(u32)) {
        // A text that repeats a gram must not make us try its patterns again and again.
        let mut seen: SmallVec<[u64; SEEN_WORDS]> = smallvec![0; self.numbers.len().div_ceil(64)];
        for length in &self.lengths {
            for gram in text.windows(*length).map(packed) {
                let Some(number) = self.numbers.get(&gram) else {
                    continue;
                };
                let (word, bit) = (&mut seen[*number as usize / 64], 1 << (number % 64));
                if *word & bit == 0 {
                    *word |= bit;
                    self.ids.of(*number).iter().for_each(|id| visit(*id));
                }
            }
        }
    }
}

/// The grams of a pattern: of the longest length that one of its literals allows.
fn of_pattern<'a>(literals: &'a [&[u8]]) -> impl Iterator<Item = u64> + use<'a> {
    let longest = literals.iter().map(|literal| literal.len()).max();
    let length = longest.unwrap_or_default().clamp(1, LONGEST);
    literals
        .iter()
        .flat_map(move |literal| literal.windows(length).map(packed))
}

/// Bytes and their number in one word.
fn packed(bytes: &[u8]) -> u64 {
    let shift = |word, byte: &u8| word << 8 | u64::from(*byte);
    bytes.iter().fold(bytes.len() as u64, shift)
}

fn length_of(gram: u64) -> usize {
    (1..=LONGEST)
        .find(|length| gram >> (8 * length) == *length as u64)
        .unwrap_or(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_candidates_only_where_a_part_of_them_is() {
        let patterns: Vec<(Vec<&[u8]>, u32)> = vec![
            (vec![b"/tenant-7/"], 0),
            (vec![b"/tenant-8/"], 1),
            (vec![b"", b"a", b"bc"], 2),
            (vec![b"-7/-7/"], 3),
        ];
        let grams = Grams::new(&patterns);
        for (text, expected) in [
            ("/x/tenant-7/y", &[0][..]),
            ("/tenant-8/tenant-8/", &[1]),
            ("xbcxbc", &[2]),
            ("/tenant-9/", &[]),
            ("", &[]),
        ] {
            let mut found = Vec::new();
            grams.each(text.as_bytes(), |id| found.push(id));
            found.sort_unstable();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn thousands_of_grams_are_told_apart() {
        let names: Vec<_> = (0..5_000).map(|n| format!("-{n:04}-")).collect();
        let patterns: Vec<_> = (0..)
            .zip(&names)
            .map(|(id, name)| (vec![name.as_bytes()], id))
            .collect();
        let grams = Grams::new(&patterns);
        for id in [0, 63, 64, 2_047, 2_048, 4_999] {
            let mut found = Vec::new();
            let text = format!("/x{}y{0}", names[id as usize]);
            grams.each(text.as_bytes(), |id| found.push(id));
            assert!(found.contains(&id), "{text}");
            found.dedup();
            assert!(found.len() < 30, "{found:?}");
        }
    }
}
