//! Every literal that a text begins with, in one walk: a radix trie over the literals.
//!
//! `REVERSED`: every literal that the text ends with instead.

use std::ops::Range;

use super::lists::Lists;

/// A set of literals with ids.
///
/// Shape: the nodes of a family stand side by side; `heads` has the first byte of each node's edge, by node.
#[derive(Debug)]
pub(super) struct Trie<const REVERSED: bool> {
    nodes: Box<[Node]>,
    heads: Box<[u8]>,
    /// Edges in the order of walking.
    bytes: Box<[u8]>,
    /// Ids by node.
    ids: Lists,
}

#[derive(Debug, Default)]
struct Node {
    edge: Range<u32>,
    children: Range<u32>,
    /// Some literal ends here.
    has_ids: bool,
}

impl<const REVERSED: bool> Trie<REVERSED> {
    /// Cost: sorting the literals. A literal may come with several ids.
    pub(super) fn new(literals: Vec<(&[u8], u32)>) -> Self {
        let walked = |literal: &[u8]| -> Vec<u8> {
            if REVERSED {
                literal.iter().rev().copied().collect()
            } else {
                literal.to_vec()
            }
        };
        let mut sorted: Vec<(Vec<u8>, u32)> = literals
            .into_iter()
            .map(|(literal, id)| (walked(literal), id))
            .collect();
        sorted.sort();
        Builder::build(&sorted)
    }

    /// Calls `visit` with the id of every literal that the text begins (or ends) with.
    /// Cost: one comparison per byte of the text at most; stops where no literal goes on.
    #[inline]
    pub(super) fn each(&self, text: &[u8], mut visit: impl FnMut(u32)) {
        let (mut at, mut walked) = (0_u32, 0);
        loop {
            let node = &self.nodes[at as usize];
            if node.has_ids {
                self.ids.of(at).iter().for_each(|id| visit(*id));
            }
            let rest = if REVERSED {
                &text[..text.len() - walked]
            } else {
                &text[walked..]
            };
            let next = if REVERSED { rest.last() } else { rest.first() };
            let Some(child) = next.and_then(|byte| self.child(node, *byte)) else {
                return;
            };
            let edge = &self.nodes[child as usize].edge;
            let edge = &self.bytes[edge.start as usize..edge.end as usize];
            if !goes_on::<REVERSED>(rest, edge) {
                return;
            }
            walked += edge.len();
            at = child;
        }
    }

    fn child(&self, node: &Node, byte: u8) -> Option<u32> {
        let heads = &self.heads[node.children.start as usize..node.children.end as usize];
        let place = memchr::memchr(byte, heads)?;
        Some(node.children.start + place as u32)
    }
}

fn goes_on<const REVERSED: bool>(rest: &[u8], edge: &[u8]) -> bool {
    if REVERSED {
        edge.len() <= rest.len() && edge.iter().eq(rest.iter().rev().take(edge.len()))
    } else {
        rest.starts_with(edge)
    }
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    heads: Vec<u8>,
    bytes: Vec<u8>,
    ids: Vec<(u32, u32)>,
}

/// Literals of one subtree, in order, of which the first `usize` bytes lead to its node `u32`.
type Family<'a> = (&'a [(Vec<u8>, u32)], usize, u32);

impl Builder {
    fn build<const REVERSED: bool>(sorted: &[(Vec<u8>, u32)]) -> Trie<REVERSED> {
        let mut builder = Self {
            nodes: vec![Node::default()],
            heads: vec![0],
            ..Self::default()
        };
        let mut open: Vec<Family<'_>> = vec![(sorted, 0, 0)];
        while let Some(family) = open.pop() {
            builder.family(family, &mut open);
        }
        Trie {
            ids: Lists::new(builder.nodes.len(), &builder.ids),
            nodes: builder.nodes.into(),
            heads: builder.heads.into(),
            bytes: builder.bytes.into(),
        }
    }

    /// Gives a node its ids and its children; the children's own families are left open.
    fn family<'a>(&mut self, (literals, depth, node): Family<'a>, open: &mut Vec<Family<'a>>) {
        let ends = literals.partition_point(|(literal, _)| literal.len() == depth);
        let (own, longer) = literals.split_at(ends);
        self.ids.extend(own.iter().map(|(_, id)| (node, *id)));
        let first = self.nodes.len() as u32;
        for branch in longer.chunk_by(|(one, _), (other, _)| one[depth] == other[depth]) {
            let (one, other) = (&branch[0].0, &branch[branch.len() - 1].0);
            let common = one.iter().zip(other).take_while(|(a, b)| a == b).count();
            open.push((branch, common, self.nodes.len() as u32));
            self.push(&one[depth..common]);
        }
        let children = first..self.nodes.len() as u32;
        let node = &mut self.nodes[node as usize];
        (node.children, node.has_ids) = (children, !own.is_empty());
    }

    fn push(&mut self, edge: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(edge);
        self.heads.push(edge[0]);
        self.nodes.push(Node {
            edge: start..self.bytes.len() as u32,
            ..Node::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<const REVERSED: bool>(literals: &[&str], text: &str) -> Vec<u32> {
        let literals = literals.iter().map(|literal| literal.as_bytes());
        let trie = Trie::<REVERSED>::new(literals.zip(0..).collect());
        let mut found = Vec::new();
        trie.each(text.as_bytes(), |id| found.push(id));
        found.sort_unstable();
        found
    }

    #[test]
    fn every_literal_that_the_text_begins_with_is_found() {
        let literals = ["/a/", "/", "/a/b", "/ab", "", "/a/"];
        for (text, expected) in [
            ("/a/bc", &[0, 1, 2, 4, 5][..]),
            ("/ab", &[1, 3, 4]),
            ("/a", &[1, 4]),
            ("", &[4]),
            ("x", &[4]),
        ] {
            assert_eq!(found::<false>(&literals, text), expected, "{text}");
        }
        assert!(found::<false>(&[], "/a").is_empty());
    }

    #[test]
    fn every_literal_that_the_text_ends_with_is_found() {
        let literals = [".example.com", ".com", "x.example.com", ".org"];
        for (text, expected) in [
            ("x.example.com", &[0, 1, 2][..]),
            ("y.example.com", &[0, 1]),
            ("example.com", &[1]),
            ("com", &[]),
        ] {
            assert_eq!(found::<true>(&literals, text), expected, "{text}");
        }
    }

    #[test]
    fn a_trie_finds_what_a_scan_finds() {
        let mut random = fastrand::Rng::with_seed(11);
        let mut word = |most: usize| -> String {
            let length = random.usize(0..=most);
            (0..length)
                .map(|_| char::from(random.choice("ab/".bytes()).unwrap()))
                .collect()
        };
        for _ in 0..500 {
            let literals: Vec<_> = (0..20).map(|_| word(5)).collect();
            let literals: Vec<_> = literals.iter().map(String::as_str).collect();
            let text = word(8);
            let scan = |fits: fn(&str, &str) -> bool| -> Vec<u32> {
                let fitting = (0..).zip(&literals).filter(|(_, one)| fits(&text, one));
                fitting.map(|(id, _)| id).collect()
            };
            assert_eq!(
                found::<false>(&literals, &text),
                scan(|text, one| text.starts_with(one))
            );
            assert_eq!(
                found::<true>(&literals, &text),
                scan(|text, one| text.ends_with(one))
            );
        }
    }
}
