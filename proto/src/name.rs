//! How resources are addressed: [`Key`] = kind + full name, parsed and printed the same everywhere.
//!
//! A full name joins the names from the outermost parent with `/`: `shop/https/catalog`. A target's own name is
//! `address:port` (`[v6]:port`), which has no `/` either.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::kind::Kind;
use crate::v1;

/// Longest name of one resource, in characters (interfaces, "Resources and manifests").
pub const MAX_NAME_CHARS: usize = 63;

/// The address of a resource. Ordered by kind (parents first), then by full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its full name: `shop/https/catalog`.
    pub name: String,
}

/// Why a text is not the address of a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No such kind.
    #[error("unknown kind '{kind}'")]
    UnknownKind {
        /// As given.
        kind: String,
    },
    /// The number of parts does not fit the kind.
    #[error("'{name}' is not the name of a {kind}: expected {expected}")]
    Parts {
        /// As given.
        name: String,
        /// Manifest name of the kind.
        kind: &'static str,
        /// The form that it should have: `loadBalancer/listener`.
        expected: &'static str,
    },
}

impl Key {
    /// A key from parts that are known to fit; `parent` is empty for kinds without one.
    pub fn child(kind: Kind, parent: &str, name: &str) -> Self {
        let name = if kind.parent().is_some() {
            format!("{parent}/{name}")
        } else {
            name.to_owned()
        };
        Self { kind, name }
    }

    /// The key of a target: `group/address:port`, the address in canonical form where it is one.
    pub fn target(group: &str, address: &str, port: u32) -> Self {
        Self {
            kind: Kind::Target,
            name: format!("{group}/{}", target_name(address, port)),
        }
    }

    /// Reads a kind (manifest name) and full name, as in [`v1::ResourceKey`].
    ///
    /// Errors: an unknown kind, or a number of `/` that does not fit it.
    pub fn parse(kind: &str, name: &str) -> Result<Self, KeyError> {
        let kind = Kind::from_name(kind).ok_or_else(|| KeyError::UnknownKind {
            kind: kind.to_owned(),
        })?;
        Self::of(kind, name)
    }

    /// A key of a known kind; that of a target in its canonical form. Errors: a number of `/` that does not fit it.
    pub fn of(kind: Kind, name: &str) -> Result<Self, KeyError> {
        let (parts, expected) = match kind {
            Kind::LoadBalancer | Kind::TargetGroup | Kind::Certificate => {
                (1, "one name without '/'")
            }
            Kind::Listener => (2, "loadBalancer/listener"),
            Kind::Target => (2, "targetGroup/address:port"),
            Kind::Rule => (3, "loadBalancer/listener/rule"),
        };
        if name.split('/').count() != parts || name.split('/').any(str::is_empty) {
            return Err(KeyError::Parts {
                name: name.to_owned(),
                kind: kind.name(),
                expected,
            });
        }
        if let (Kind::Target, Some((group, target))) = (kind, name.split_once('/'))
            && let Ok(target) = target.parse::<SocketAddr>()
        {
            let (address, port) = (target.ip().to_string(), target.port());
            return Ok(Self::target(group, &address, port.into()));
        }
        Ok(Self {
            kind,
            name: name.to_owned(),
        })
    }

    /// The key of the parent, if the kind has one.
    pub fn parent(&self) -> Option<Self> {
        let kind = self.kind.parent()?;
        let (name, _) = self.name.rsplit_once('/')?;
        Some(Self {
            kind,
            name: name.to_owned(),
        })
    }

    /// Its own name, without the parents'.
    pub fn own_name(&self) -> &str {
        self.name
            .rsplit_once('/')
            .map_or(self.name.as_str(), |(_, own)| own)
    }

    /// Whether `self` is below `ancestor` (child, grandchild, ...).
    pub fn is_below(&self, ancestor: &Self) -> bool {
        let mut key = self.parent();
        while let Some(parent) = key {
            if parent == *ancestor {
                return true;
            }
            key = parent.parent();
        }
        false
    }
}

/// `Kind/full/name`, as `lbctl` prints it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.name)
    }
}

impl From<&Key> for v1::ResourceKey {
    fn from(key: &Key) -> Self {
        Self {
            kind: key.kind.name().to_owned(),
            name: key.name.clone(),
        }
    }
}

impl TryFrom<&v1::ResourceKey> for Key {
    type Error = KeyError;

    fn try_from(key: &v1::ResourceKey) -> Result<Self, KeyError> {
        Self::parse(&key.kind, &key.name)
    }
}

/// The own name of a target: `address:port`, `[v6]:port`. An address that is none stays as it is, for the error text.
pub fn target_name(address: &str, port: u32) -> String {
    match (address.parse::<IpAddr>(), u16::try_from(port)) {
        (Ok(address), Ok(port)) => SocketAddr::new(address, port).to_string(),
        _ => format!("{address}:{port}"),
    }
}

/// Whether a text is a name: `[a-z0-9]([a-z0-9-.]*[a-z0-9])?`, at most [`MAX_NAME_CHARS`].
pub fn is_name(text: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    bytes.len() <= MAX_NAME_CHARS
        && edge(first)
        && edge(last)
        && bytes
            .iter()
            .all(|&byte| edge(byte) || byte == b'-' || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_parse_and_print() {
        for (kind, name, parent) in [
            ("LoadBalancer", "shop", None),
            ("Listener", "shop/https", Some("shop")),
            ("Rule", "shop/https/catalog", Some("shop/https")),
            ("Target", "catalog/[::1]:9001", Some("catalog")),
        ] {
            let key = Key::parse(kind, name).unwrap();
            assert_eq!(key.to_string(), format!("{kind}/{name}"));
            assert_eq!(key.parent().map(|key| key.name).as_deref(), parent);
        }
    }

    #[test]
    fn keys_with_missing_or_spare_parts_are_refused() {
        for (kind, name) in [
            ("LoadBalancer", "a/b"),
            ("Rule", "a/b"),
            ("Listener", "a//b"),
            ("Listener", "/b"),
            ("Rul", "a"),
        ] {
            assert!(Key::parse(kind, name).is_err(), "{kind} {name}");
        }
    }

    #[test]
    fn names_follow_the_interface() {
        for good in ["a", "0", "shop", "a-b.c", &"x".repeat(63)] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            ".a",
            "A",
            "a_b",
            "a/b",
            &"x".repeat(64),
            "é",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn keys_of_targets_are_found_however_their_address_is_written() {
        for (written, canonical) in [
            ("web/[0:0::1]:80", "web/[::1]:80"),
            ("web/[2001:DB8::1]:080", "web/[2001:db8::1]:80"),
            ("web/127.0.0.1:80", "web/127.0.0.1:80"),
            ("web/nonsense", "web/nonsense"),
        ] {
            let key = Key::parse("Target", written).unwrap();
            assert_eq!(key.name, canonical);
        }
    }

    #[test]
    fn target_names_are_canonical() {
        assert_eq!(target_name("127.0.0.1", 80), "127.0.0.1:80");
        assert_eq!(target_name("0:0::1", 80), "[::1]:80");
        assert_eq!(target_name("nonsense", 80), "nonsense:80");
    }
}
