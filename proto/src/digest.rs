//! The digest over a view that both ends of the discovery stream compute.
//!
//! It is a sum, so it follows a change in time proportional to the change, and the order of resources does not
//! matter. It detects mistakes, not malice: the stream itself is what is trusted.

use sha2::{Digest as _, Sha256};

use crate::name::Key;

/// Digest over (key, revision) of every resource in a view; the empty view's is all zero.
///
/// Shape: 16 bytes on the wire: the sum, modulo 2^128 and little-endian, of the first 16 bytes of
/// SHA-256(`Kind/full/name` NUL revision as 8 bytes little-endian) of each resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest(u128);

impl Digest {
    /// Adds a resource to the view.
    pub fn add(&mut self, key: &Key, revision: u64) {
        self.0 = self.0.wrapping_add(term(key, revision));
    }

    /// Takes a resource out of the view; `revision` is that with which it was added.
    pub fn remove(&mut self, key: &Key, revision: u64) {
        self.0 = self.0.wrapping_sub(term(key, revision));
    }

    /// The form on the wire.
    pub fn to_bytes(self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    /// Reads the form on the wire; `None` unless it is 16 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(u128::from_le_bytes(bytes.try_into().ok()?)))
    }
}

fn term(key: &Key, revision: u64) -> u128 {
    let mut hash = Sha256::new();
    hash.update(key.kind.name());
    hash.update(b"/");
    hash.update(&key.name);
    hash.update([0]);
    hash.update(revision.to_le_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    u128::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    #[test]
    fn digest_follows_changes_in_any_order() {
        let [a, b] = ["a", "b"].map(|name| Key::of(Kind::TargetGroup, name).unwrap());
        let mut one = Digest::default();
        one.add(&a, 1);
        one.add(&b, 2);
        let mut other = Digest::default();
        other.add(&b, 1);
        other.add(&a, 1);
        assert_ne!(one, other);
        other.remove(&b, 1);
        other.add(&b, 2);
        assert_eq!(one, other);
        assert_eq!(Digest::from_bytes(&one.to_bytes()), Some(one));
        assert_eq!(Digest::from_bytes(b"short"), None);
    }
}
