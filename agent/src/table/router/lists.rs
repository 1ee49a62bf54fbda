//! Lists of numbers by a small number, in two allocations whatever their count.

/// `key -> items`, both dense and small.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Where the list of each key begins in `items`, and one more: where the last one ends.
    starts: Box<[u32]>,
    items: Box<[u32]>,
}

impl Lists {
    /// Lists for the keys below `keys`; the items of each key keep the order that they come in.
    pub(super) fn new(keys: usize, pairs: &[(u32, u32)]) -> Self {
        let mut starts = vec![0_u32; keys + 1];
        for (key, _) in pairs {
            starts[*key as usize + 1] += 1;
        }
        for key in 0..keys {
            starts[key + 1] += starts[key];
        }
        let mut next = starts.clone();
        let mut items = vec![0; pairs.len()];
        for (key, item) in pairs {
            let next = &mut next[*key as usize];
            items[*next as usize] = *item;
            *next += 1;
        }
        Self {
            starts: starts.into(),
            items: items.into(),
        }
    }

    /// The list of a key.
    pub(super) fn of(&self, key: u32) -> &[u32] {
        let key = key as usize;
        &self.items[self.starts[key] as usize..self.starts[key + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stand_under_their_key_in_order() {
        let lists = Lists::new(4, &[(2, 9), (0, 5), (2, 1), (0, 5)]);
        let all: Vec<_> = (0..4).map(|key| lists.of(key)).collect();
        assert_eq!(all, [&[5, 5][..], &[], &[9, 1], &[]]);
    }
}
