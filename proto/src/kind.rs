//! The table of kinds: the one place that lists them in Rust.
//!
//! Adding a kind: its message in `inlet/v1/`, one line in `Resource` (`resource.proto`), one line in `kinds!` below.
//! Everything that must know more (checks, references, compiling) matches on [`Kind`], so the compiler names the places.

use crate::v1;
use crate::v1::resource::Kind as Body;

/// Declares [`Kind`] and the accessors of [`v1::Resource`] from one line per kind, parents before children:
/// `Variant, kebab singular, kebab plural, parent kind, field of the parent's name`.
macro_rules! kinds {
    ($($kind:ident, $singular:literal, $plural:literal, $parent:expr, |$message:ident| $parent_name:expr;)*) => {
        /// A kind of resource. The order is that of dependence: parents come before their children.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", stringify!($kind), "`, on the command line `", $singular, "`.")] $kind,)*
        }

        impl Kind {
            /// Every kind, parents before children.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The name in manifests: `LoadBalancer`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)* }
            }

            /// The name on the command line: `load-balancer`.
            pub fn singular(self) -> &'static str {
                match self { $(Self::$kind => $singular,)* }
            }

            /// The plural on the command line: `load-balancers`.
            pub fn plural(self) -> &'static str {
                match self { $(Self::$kind => $plural,)* }
            }

            /// The kind that it is a child of.
            pub fn parent(self) -> Option<Self> {
                match self { $(Self::$kind => $parent,)* }
            }
        }

        impl v1::Resource {
            /// Its kind; `None` if the envelope is empty (a kind of a newer version).
            pub fn kind_of(&self) -> Option<Kind> {
                match &self.kind { $(Some(Body::$kind(_)) => Some(Kind::$kind),)* None => None }
            }

            /// Name and full name of the parent (empty for kinds without one).
            fn names(&self) -> Option<(&str, &str)> {
                match &self.kind {
                    $(Some(Body::$kind($message)) => Some((&$message.name, $parent_name)),)*
                    None => None,
                }
            }

            /// The fields that the server keeps; `None` if the envelope is empty.
            pub fn kept(&self) -> Option<Kept> {
                match &self.kind {
                    $(Some(Body::$kind(message)) => Some(Kept {
                        uid: message.uid.clone(),
                        revision: message.revision,
                        create_time: message.create_time,
                        update_time: message.update_time,
                    }),)*
                    None => None,
                }
            }

            /// Sets the fields that the server keeps.
            pub fn set_kept(&mut self, kept: Kept) {
                match &mut self.kind {
                    $(Some(Body::$kind(message)) => {
                        message.uid = kept.uid;
                        message.revision = kept.revision;
                        message.create_time = kept.create_time;
                        message.update_time = kept.update_time;
                    })*
                    None => {}
                }
            }

            /// The revision of its last change.
            pub fn revision(&self) -> u64 {
                match &self.kind { $(Some(Body::$kind(message)) => message.revision,)* None => 0 }
            }
        }

        $(impl From<v1::$kind> for v1::Resource {
            fn from(message: v1::$kind) -> Self {
                Self { kind: Some(Body::$kind(message)) }
            }
        })*
    };
}

kinds! {
    LoadBalancer, "load-balancer", "load-balancers", None, |m| "";
    TargetGroup, "target-group", "target-groups", None, |m| "";
    Target, "target", "targets", Some(Self::TargetGroup), |m| &m.target_group;
    Certificate, "certificate", "certificates", None, |m| "";
    Listener, "listener", "listeners", Some(Self::LoadBalancer), |m| &m.load_balancer;
    Rule, "rule", "rules", Some(Self::Listener), |m| &m.listener;
}

/// The fields of a resource that the server keeps and input cannot set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// UUIDv7, given at creation.
    pub uid: String,
    /// The revision of the last change.
    pub revision: u64,
    /// When it was created.
    pub create_time: Option<prost_types::Timestamp>,
    /// When it last changed.
    pub update_time: Option<prost_types::Timestamp>,
}

impl Kind {
    /// The kind with this manifest name (`LoadBalancer`).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The kind with this command-line word: kebab-case, singular or plural; the manifest name is taken too.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| [kind.singular(), kind.plural(), kind.name()].contains(&word))
    }
}

impl v1::Resource {
    /// Its address. For a Target without a port: that of a port 0, which only `admit` knows how to fill.
    /// `None` if the envelope is empty.
    pub fn key(&self) -> Option<crate::name::Key> {
        let kind = self.kind_of()?;
        if let Some(Body::Target(target)) = &self.kind {
            return Some(crate::name::Key::target(
                &target.target_group,
                &target.address,
                target.port,
            ));
        }
        let (name, parent) = self.names()?;
        Some(crate::name::Key::child(kind, parent, name))
    }
}
