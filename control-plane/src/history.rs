//! The revisions that are kept, in their stored form, bounded by number and bytes.
//!
//! Invariant: the records have no gaps and end with the current revision; the last is kept however large it is.

use std::collections::VecDeque;
use std::sync::Arc;

use inlet_proto::v1;

use crate::store::{Record, decode_revision};

/// Revisions that are read at once by those who follow.
const MAX_READ: usize = 64;
/// Stored bytes that are read at once; one larger revision is read by itself.
const MAX_READ_BYTES: usize = 1 << 20;

/// The revisions that are kept.
#[derive(Debug)]
pub(crate) struct History {
    records: VecDeque<Record>,
    bytes: usize,
    current: u64,
    max_records: usize,
    max_bytes: usize,
}

/// A revision that cannot be shown or gone back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotKept {
    /// As asked for.
    pub(crate) revision: u64,
    /// The oldest that is kept.
    pub(crate) oldest: u64,
    /// The current one.
    pub(crate) current: u64,
}

impl History {
    /// What a store has kept, cut to what is to be kept. `current` is the last revision, 0 = none.
    pub(crate) fn of(
        records: Vec<Record>,
        current: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Self {
        let mut history = Self {
            records: VecDeque::new(),
            bytes: 0,
            current,
            max_records,
            max_bytes,
        };
        history.extend(records);
        history
    }

    /// The oldest revision that is kept; the current one if there is none.
    pub(crate) fn oldest(&self) -> u64 {
        self.records.front().map_or(self.current, |r| r.revision)
    }

    /// What will be the oldest once these are there too.
    pub(crate) fn oldest_with<'a>(&'a self, more: impl Iterator<Item = &'a Record> + Clone) -> u64 {
        let size = |records: (usize, usize), record: &Record| {
            (records.0 + 1, records.1 + record.bytes.len())
        };
        let (mut left, mut bytes) = more.clone().fold((self.records.len(), self.bytes), size);
        for record in self.records.iter().chain(more) {
            if left <= 1 || (left <= self.max_records && bytes <= self.max_bytes) {
                return record.revision;
            }
            left -= 1;
            bytes -= record.bytes.len();
        }
        self.current
    }

    /// Adds the next revisions and forgets the oldest ones.
    pub(crate) fn extend(&mut self, more: Vec<Record>) {
        let oldest = self.oldest_with(more.iter());
        for record in more {
            self.current = record.revision;
            self.bytes += record.bytes.len();
            self.records.push_back(record);
        }
        while let Some(record) = self.records.pop_front_if(|r| r.revision < oldest) {
            self.bytes -= record.bytes.len();
        }
    }

    /// All that is kept, the oldest first.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// One revision.
    pub(crate) fn one(&self, revision: u64) -> Result<Record, NotKept> {
        let at = self
            .place(revision)
            .ok_or_else(|| self.not_kept(revision))?;
        Ok(self.records[at].clone())
    }

    /// The first revisions after one, the oldest first, bounded; none after the current one.
    pub(crate) fn after(&self, after: u64) -> Result<Vec<Record>, NotKept> {
        let first = after.saturating_add(1);
        if after == self.current {
            return Ok(Vec::new());
        }
        let at = self.place(first).ok_or_else(|| self.not_kept(first))?;
        let mut bytes = 0;
        let mut found = Vec::new();
        for record in self.records.range(at..).take(MAX_READ) {
            bytes += record.bytes.len();
            if bytes > MAX_READ_BYTES && !found.is_empty() {
                break;
            }
            found.push(record.clone());
        }
        Ok(found)
    }

    /// Every revision after one, the newest first. Errors: one of them, or the one itself, is not kept.
    pub(crate) fn back_to(&self, revision: u64) -> Result<Vec<Record>, NotKept> {
        if revision == self.current {
            return Ok(Vec::new());
        }
        let at = self
            .place(revision)
            .ok_or_else(|| self.not_kept(revision))?;
        Ok(self.records.range(at + 1..).rev().cloned().collect())
    }

    /// The newest revisions below `before` (`None`: of all), the newest first; none if they are not kept.
    pub(crate) fn newest(&self, before: Option<u64>, limit: usize) -> Vec<Record> {
        let wanted = |record: &&Record| before.is_none_or(|before| record.revision < before);
        let newest = self.records.iter().rev();
        newest
            .skip_while(|r| !wanted(r))
            .take(limit)
            .cloned()
            .collect()
    }

    fn place(&self, revision: u64) -> Option<usize> {
        let first = self.records.front()?.revision;
        let at = usize::try_from(revision.checked_sub(first)?).ok()?;
        (at < self.records.len()).then_some(at)
    }

    fn not_kept(&self, revision: u64) -> NotKept {
        NotKept {
            revision,
            oldest: self.oldest(),
            current: self.current,
        }
    }
}

/// Decodes what is kept. Every record was decoded when it was loaded, or encoded by this program.
pub(crate) fn decode(record: &Record) -> Arc<v1::Revision> {
    let revision = decode_revision(&record.bytes);
    Arc::new(revision.expect("a record that is kept can be decoded"))
}

impl std::fmt::Display for NotKept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            revision,
            oldest,
            current,
        } = self;
        if revision > current {
            write!(
                f,
                "revision {revision} does not exist yet; the current one is {current}"
            )
        } else if *revision == 0 {
            write!(
                f,
                "revision 0 is the empty beginning; the oldest that is kept is {oldest}"
            )
        } else {
            write!(
                f,
                "revision {revision} is not kept; the oldest that is kept is {oldest}"
            )
        }
    }
}

impl std::error::Error for NotKept {}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(revision: u64, bytes: usize) -> Record {
        Record {
            revision,
            bytes: vec![0; bytes].into(),
        }
    }

    fn numbers(records: &[Record]) -> Vec<u64> {
        records.iter().map(|record| record.revision).collect()
    }

    #[test]
    fn the_newest_are_kept_by_number_and_by_bytes_and_the_last_in_any_case() {
        for (sizes, max_records, max_bytes, kept) in [
            (&[10, 10, 10][..], 10, 100, 1..=3),
            (&[10, 10, 10], 2, 100, 2..=3),
            (&[10, 10, 10], 10, 20, 2..=3),
            (&[10, 10, 10], 10, 19, 3..=3),
            (&[10, 10, 500], 10, 100, 3..=3),
            (&[500, 10, 10], 10, 100, 2..=3),
            (&[10, 10, 10], 1, 1, 3..=3),
        ] {
            let sized = |(at, size): (usize, &usize)| record(at as u64 + 1, *size);
            let records: Vec<_> = sizes.iter().enumerate().map(sized).collect();
            let whole = History::of(records.clone(), 3, max_records, max_bytes);
            assert_eq!(whole.oldest(), *kept.start(), "{sizes:?}");
            // One by one it is the same, and the store is told the same before.
            let mut grown = History::of(Vec::new(), 0, max_records, max_bytes);
            for record in records {
                let oldest = grown.oldest_with([&record].into_iter());
                grown.extend(vec![record]);
                assert_eq!(grown.oldest(), oldest, "{sizes:?}");
            }
            let left: Vec<_> = grown.records().cloned().collect();
            assert_eq!(numbers(&left), kept.collect::<Vec<_>>(), "{sizes:?}");
            let bytes: usize = left.iter().map(|record| record.bytes.len()).sum();
            assert_eq!(grown.bytes, bytes);
        }
    }

    #[test]
    fn reading_says_what_is_not_kept_and_what_does_not_exist_yet() {
        let records: Vec<_> = (5..=9).map(|revision| record(revision, 1)).collect();
        let history = History::of(records, 9, 100, 100);
        let not = |revision: u64| NotKept {
            revision,
            oldest: 5,
            current: 9,
        };
        let after = |revision| history.after(revision).map(|found| numbers(&found));
        assert_eq!(after(4), Ok(vec![5, 6, 7, 8, 9]));
        assert_eq!(after(8), Ok(vec![9]));
        assert_eq!(after(9), Ok(vec![]));
        assert_eq!(after(3), Err(not(4)));
        assert_eq!(after(10), Err(not(11)));
        assert_eq!(after(u64::MAX), Err(not(u64::MAX)));

        let back = |revision| history.back_to(revision).map(|found| numbers(&found));
        assert_eq!(back(9), Ok(vec![]));
        assert_eq!(back(7), Ok(vec![9, 8]));
        assert_eq!(back(5), Ok(vec![9, 8, 7, 6]));
        assert_eq!(back(4), Err(not(4)));
        assert_eq!(back(10), Err(not(10)));

        assert_eq!(history.one(6).map(|record| record.revision), Ok(6));
        assert_eq!(history.one(4).unwrap_err(), not(4));
        assert_eq!(history.one(0).unwrap_err(), not(0));

        assert_eq!(numbers(&history.newest(None, 2)), [9, 8]);
        assert_eq!(numbers(&history.newest(Some(8), 2)), [7, 6]);
        assert_eq!(numbers(&history.newest(Some(6), 9)), [5]);
        assert_eq!(numbers(&history.newest(Some(2), 9)), [0; 0]);
        for (revision, said) in [
            (4, "revision 4 is not kept; the oldest that is kept is 5"),
            (10, "revision 10 does not exist yet; the current one is 9"),
            (
                0,
                "revision 0 is the empty beginning; the oldest that is kept is 5",
            ),
        ] {
            assert_eq!(not(revision).to_string(), said);
        }
    }

    #[test]
    fn those_who_follow_read_bounded_pieces_and_miss_nothing() {
        let size = MAX_READ_BYTES / 3;
        let mut records: Vec<_> = (1..=200).map(|revision| record(revision, 1)).collect();
        records.extend((201..=210).map(|revision| record(revision, size)));
        records.push(record(211, MAX_READ_BYTES * 2));
        let history = History::of(records, 211, 1000, usize::MAX);
        let mut after = 0;
        while after < 211 {
            let found = history.after(after).unwrap();
            let bytes: usize = found.iter().map(|record| record.bytes.len()).sum();
            assert!(found.len() <= MAX_READ, "{}", found.len());
            assert!(bytes <= MAX_READ_BYTES || found.len() == 1, "{bytes}");
            for record in found {
                after += 1;
                assert_eq!(record.revision, after);
            }
        }
    }
}
