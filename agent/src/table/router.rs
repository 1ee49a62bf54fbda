//! The compiled rules of one HTTP listener. Built by `compile`, read by `matching`, opaque to all others.
//!
//! Rules are found by host and path: the patterns of all hosts are in one index, and for each host pattern the paths
//! of its rules are in another. What is left (few rules, usually one) is tried by its other conditions. A rule with
//! several hosts or paths stands under each pair.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foldhash::fast::FixedState;
use ipnet::IpNet;

use crate::table::Action;

mod grams;
mod index;
mod lists;
mod pattern;
mod trie;

use index::Index;
use lists::Lists;
pub(crate) use pattern::is_visible;
pub use pattern::{Case, Pattern};

/// Rules in the order of their priorities, and the default action.
#[derive(Debug)]
pub struct Router {
    /// What happens when no rule matches.
    pub default: Action,
    /// The rules; shared with the router before if none of them changed.
    pub rules: Arc<Rules>,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its own name.
    pub name: Box<str>,
    /// 1..=50000; the lowest is tried first.
    pub priority: u32,
    /// All must hold. At most one is [`Condition::Host`] and at most one [`Condition::Path`].
    pub conditions: Box<[Condition]>,
    /// What happens to its requests.
    pub action: Action,
}

/// One condition of a rule: any of its values must match (application load balancer, 7.2).
#[derive(Debug)]
pub enum Condition {
    /// The host without its port, in lower case like the patterns.
    Host(Box<[Pattern]>),
    /// The path.
    Path(Box<[Pattern]>),
    /// A header's value.
    Header {
        /// In lower case.
        name: Box<[u8]>,
        /// What one of its values must match.
        values: Box<[Pattern]>,
    },
    /// The method, exactly.
    Method(Box<[Box<[u8]>]>),
    /// A parameter of the query: name (None = any) and value.
    Query(Box<[(Option<Pattern>, Pattern)]>),
    /// The client's address.
    Source(Box<[IpNet]>),
}

impl Condition {
    /// Whether the structure of [`Rules`] has answered it when a rule is tried.
    fn is_indexed(&self) -> bool {
        matches!(self, Self::Host(_) | Self::Path(_))
    }
}

/// The rules of a listener, found by host and path.
#[derive(Debug, Default)]
pub struct Rules {
    by_priority: Box<[Arc<Rule>]>,
    /// Rules without a condition on the host.
    any_host: Paths,
    hosts: Index,
    /// By number of the host pattern.
    of_host: Box<[Paths]>,
}

/// Rules under one host pattern.
#[derive(Debug, Default)]
struct Paths {
    /// The first of all its rules.
    first: u32,
    /// Rules without a condition on the path, in order.
    any_path: Box<[u32]>,
    paths: Index,
    /// Rules by number of the path pattern, in order.
    of_path: Lists,
}

impl Rules {
    /// There is none: the default action decides.
    pub fn is_empty(&self) -> bool {
        self.by_priority.is_empty()
    }

    /// Indexes rules, which come in any order; of two with one priority, the one that comes first is tried first.
    ///
    /// Cost: O(n log n).
    pub fn new(mut rules: Vec<Arc<Rule>>) -> Self {
        rules.sort_by_key(|rule| rule.priority);
        let mut any_host = Vec::new();
        let mut hosts = Numbered::default();
        let mut of_host: Vec<Vec<Standing<'_>>> = Vec::new();
        for (number, rule) in (0..).zip(&rules) {
            let (on_host, on_path) = rule.patterns();
            let standing = (number, on_path);
            for host in on_host.unwrap_or_default() {
                let place = hosts.number(host) as usize;
                of_host.resize_with(of_host.len().max(place + 1), Vec::new);
                of_host[place].push(standing);
            }
            if on_host.is_none() {
                any_host.push(standing);
            }
        }
        Self {
            any_host: Paths::new(&any_host),
            of_host: of_host.iter().map(|rules| Paths::new(rules)).collect(),
            hosts: Index::new(hosts.patterns),
            by_priority: rules.into(),
        }
    }

    /// All rules, by priority.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.by_priority.iter()
    }

    /// The first rule whose conditions on host and path match and for whose other conditions `holds` says yes.
    ///
    /// None as text = no pattern matches it; otherwise it has no control characters, and the host is in lower case.
    /// Cost: independent of the number of rules whose host or path does not match. No allocation.
    #[inline]
    pub(crate) fn first(
        &self,
        host: Option<&[u8]>,
        path: Option<&[u8]>,
        mut holds: impl FnMut(&Condition) -> bool,
    ) -> Option<&Rule> {
        let mut best = self.by_priority.len() as u32;
        let mut fulfils = |number: u32| {
            let mut others = self.by_priority[number as usize].conditions.iter();
            others.all(|condition| condition.is_indexed() || holds(condition))
        };
        self.any_host.search(path, &mut best, &mut fulfils);
        if let Some(host) = host {
            self.hosts.each(host, |place| {
                self.of_host[place as usize].search(path, &mut best, &mut fulfils);
            });
        }
        Some(self.by_priority.get(best as usize)?)
    }
}

impl Paths {
    /// From numbers of rules in order, with their path patterns.
    fn new(rules: &[Standing<'_>]) -> Self {
        let mut any_path = Vec::new();
        let mut paths = Numbered::default();
        let mut pairs = Vec::new();
        for (rule, patterns) in rules {
            match patterns {
                None => any_path.push(*rule),
                Some(patterns) => {
                    pairs.extend(patterns.iter().map(|path| (paths.number(path), *rule)));
                }
            }
        }
        Self {
            first: rules.first().map_or(u32::MAX, |(rule, _)| *rule),
            any_path: any_path.into(),
            of_path: Lists::new(paths.patterns.len(), &pairs),
            paths: Index::new(paths.patterns),
        }
    }

    /// Lowers `best` to the first rule here that fits, if that is lower.
    #[inline]
    fn search(&self, path: Option<&[u8]>, best: &mut u32, fulfils: &mut impl FnMut(u32) -> bool) {
        if self.first >= *best {
            return;
        }
        let mut try_all = |rules: &[u32]| {
            let lower = rules.iter().copied().take_while(|rule| *rule < *best);
            if let Some(rule) = lower.into_iter().find(|rule| fulfils(*rule)) {
                *best = rule;
            }
        };
        try_all(&self.any_path);
        if let Some(path) = path {
            self.paths
                .each(path, |place| try_all(self.of_path.of(place)));
        }
    }
}

/// The number of a rule and its path patterns; None = any path.
type Standing<'a> = (u32, Option<&'a [Pattern]>);

impl Rule {
    /// Its patterns for host and path; None = there is no such condition.
    fn patterns(&self) -> (Option<&[Pattern]>, Option<&[Pattern]>) {
        let (mut host, mut path) = (None, None);
        for condition in &self.conditions {
            match condition {
                Condition::Host(patterns) => host = Some(&**patterns),
                Condition::Path(patterns) => path = Some(&**patterns),
                _ => {}
            }
        }
        (host, path)
    }
}

/// Distinct patterns, numbered in the order in which they first came.
#[derive(Default)]
struct Numbered<'a> {
    patterns: Vec<Pattern>,
    numbers: HashMap<&'a Pattern, u32, FixedState>,
}

impl<'a> Numbered<'a> {
    fn number(&mut self, pattern: &'a Pattern) -> u32 {
        match self.numbers.entry(pattern) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.patterns.push(pattern.clone());
                *new.insert(self.patterns.len() as u32 - 1)
            }
        }
    }
}
