//! An ordered map whose copies share what they have in common: a sorted list of sorted chunks.
//!
//! Copying one is copying a pointer; changing a copy copies the list of chunks and one chunk, so a state with 20,000
//! resources changes in microseconds while its predecessors stay as they are. A `BTreeMap` would copy everything, and
//! a crate for persistent trees is more than these lines.

use std::borrow::Borrow;
use std::sync::Arc;

/// Entries of a chunk at most; a fuller one is split.
const MAX_CHUNK: usize = 128;
/// Neighbours that have so many together become one.
const MERGE_CHUNK: usize = MAX_CHUNK / 2;

/// An ordered map that is cheap to copy and to change.
///
/// Shape: no chunk is empty; the last key of a chunk is below the first of the next.
/// Cost: lookups O(log n); changes O(n / 64) pointer copies and one chunk if shared, else O(log n) and one move.
#[derive(Debug)]
pub(crate) struct Ordered<K, V> {
    chunks: Arc<Vec<Chunk<K, V>>>,
}

type Chunk<K, V> = Arc<Vec<(K, V)>>;

impl<K, V> Clone for Ordered<K, V> {
    fn clone(&self) -> Self {
        Self {
            chunks: Arc::clone(&self.chunks),
        }
    }
}

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self {
            chunks: Arc::default(),
        }
    }
}

impl<K: Ord + Clone, V: Clone> Ordered<K, V> {
    /// The value of a key.
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let at = search(chunk, key).ok()?;
        Some(&chunk[at].1)
    }

    /// Sets the value of a key; gives the former one.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.chunk_of(&key);
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(chunk) = chunks.get_mut(at) else {
            chunks.push(Arc::new(vec![(key, value)]));
            return None;
        };
        let entries = Arc::make_mut(chunk);
        match search(entries, &key) {
            Ok(found) => return Some(std::mem::replace(&mut entries[found].1, value)),
            Err(place) => entries.insert(place, (key, value)),
        }
        if entries.len() > MAX_CHUNK {
            let upper = entries.split_off(MAX_CHUNK / 2);
            chunks.insert(at + 1, Arc::new(upper));
        }
        None
    }

    /// Removes a key; gives its value.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.chunk_of(key);
        let found = search(self.chunks.get(at)?, key).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let entries = Arc::make_mut(&mut chunks[at]);
        let (_, value) = entries.remove(found);
        let left = entries.len();
        if left == 0 {
            chunks.remove(at);
        } else if chunks
            .get(at + 1)
            .is_some_and(|next| next.len() + left <= MERGE_CHUNK)
        {
            let next = chunks.remove(at + 1);
            Arc::make_mut(&mut chunks[at]).extend(next.iter().cloned());
        }
        Some(value)
    }

    /// The entries from the first key that is not below `from`, in order.
    pub(crate) fn from<'a, Q: Ord + ?Sized>(
        &'a self,
        from: &Q,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V, Q>
    where
        K: Borrow<Q>,
    {
        let (chunk, entry) = self.position(|key| key < from);
        let begun = self
            .chunks
            .get(chunk)
            .map_or(&[][..], |first| &first[entry..]);
        let rest = self.chunks.get(chunk + 1..).unwrap_or_default();
        let rest = rest.iter().flat_map(|chunk| chunk.iter());
        begun.iter().chain(rest).map(|(key, value)| (key, value))
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let entries = self.chunks.iter().flat_map(|chunk| chunk.iter());
        entries.map(|(key, value)| (key, value))
    }

    /// How many keys are not `below` and still `within`; both must hold for a first part of the order only.
    /// Cost: O(n / 64).
    pub(crate) fn count<Q: Ord + ?Sized>(
        &self,
        below: impl Fn(&Q) -> bool,
        within: impl Fn(&Q) -> bool,
    ) -> usize
    where
        K: Borrow<Q>,
    {
        self.rank(self.position(within)) - self.rank(self.position(below))
    }

    /// Chunk and entry of the first key that is not `below`.
    fn position<Q: Ord + ?Sized>(&self, below: impl Fn(&Q) -> bool) -> (usize, usize)
    where
        K: Borrow<Q>,
    {
        let chunk = self
            .chunks
            .partition_point(|chunk| chunk.last().is_some_and(|(key, _)| below(key.borrow())));
        let entry = self.chunks.get(chunk).map_or(0, |entries| {
            entries.partition_point(|(key, _)| below(key.borrow()))
        });
        (chunk, entry)
    }

    fn rank(&self, (chunk, entry): (usize, usize)) -> usize {
        let before: usize = self.chunks[..chunk].iter().map(|chunk| chunk.len()).sum();
        before + entry
    }

    /// The chunk in which a key is, or belongs.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let begun = self.chunks.partition_point(|chunk| {
            chunk
                .first()
                .is_some_and(|(first, _)| first.borrow() <= key)
        });
        begun.saturating_sub(1)
    }
}

fn search<K: Borrow<Q>, V, Q: Ord + ?Sized>(chunk: &[(K, V)], key: &Q) -> Result<usize, usize> {
    chunk.binary_search_by(|(have, _)| have.borrow().cmp(key))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_does_what_a_btree_map_does_and_copies_stay_as_they_are() {
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut map, mut model) = (Ordered::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for step in 0..4000_u32 {
                let key = random.u32(..600);
                if random.u8(..100) < 55 {
                    assert_eq!(
                        map.insert(key, step),
                        model.insert(key, step),
                        "seed {seed}"
                    );
                } else {
                    assert_eq!(map.remove(&key), model.remove(&key), "seed {seed}");
                }
                assert_eq!(map.get(&key), model.get(&key));
                if step % 500 == 0 {
                    copies.push((map.clone(), model.clone()));
                }
            }
            copies.push((map, model));
            for (map, model) in &copies {
                assert!(map.iter().eq(model.iter()), "seed {seed}");
                let (low, high) = (random.u32(..600), random.u32(..600));
                assert!(map.from(&low).eq(model.range(low..)), "seed {seed}");
                let counted = map.count(|key: &u32| *key < low, |key| *key < low.max(high));
                assert_eq!(counted, model.range(low..low.max(high)).count());
            }
        }
    }

    #[test]
    fn chunks_stay_of_a_fair_size() {
        let mut map = Ordered::default();
        for key in 0..10_000_u32 {
            map.insert(key, ());
        }
        assert!(map.chunks.len() < 10_000 / 32, "{}", map.chunks.len());
        for key in 0..9_990_u32 {
            map.remove(&key);
        }
        assert_eq!(map.iter().count(), 10);
        assert!(map.chunks.len() < 10, "{}", map.chunks.len());
    }
}
