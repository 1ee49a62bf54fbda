//! Looks at the state that a change would make, for what cannot be: missing references, resources that cannot be
//! together, fields that cannot change, protected or used resources that would go.
//!
//! Only what the change touches is looked at, and whatever that can harm: a load balancer's listeners, a listener's
//! rules, those who refer to a group. The rest was admitted before.

use std::collections::HashSet;

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

use super::admit::Terms;
use super::change::Changed;
use super::clash::{listener_at, port_clashes};
use super::plan::{Item, Plan};
use super::protocols;
use super::references::references;
use super::state::State;
use super::violation::{Findings, Subject, ViolationKind};

/// How many of those who refer to something are named.
const NAMED_REFERRERS: usize = 3;

/// A change and both states, while it is judged.
pub(super) struct Judge<'a> {
    pub(super) plan: &'a Plan,
    pub(super) after: &'a State,
    pub(super) terms: &'a Terms<'a>,
    pub(super) findings: &'a mut Findings,
    /// Pairs that were reported, the smaller key first.
    reported: HashSet<(Key, Key)>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        after: &'a State,
        terms: &'a Terms<'a>,
        findings: &'a mut Findings,
    ) -> Self {
        Self {
            plan,
            after,
            terms,
            findings,
            reported: HashSet::new(),
        }
    }

    /// Judges one change of a resource that is there afterwards.
    pub(super) fn put(&mut self, item: &Item, changed: &Changed) {
        let subject = item.subject();
        self.parent(subject, &item.key);
        self.references(subject, &item.resource);
        if item.is_well_formed && changed.is_effective() {
            self.content(subject, item, changed.before.as_deref());
        }
    }

    /// Judges the end of a resource.
    pub(super) fn deletion(&mut self, key: &Key, before: &v1::Resource) {
        let subject = Subject::stored(key);
        if let Some(Body::LoadBalancer(balancer)) = &before.kind
            && balancer.deletion_protection
        {
            let message = "the load balancer is protected from deletion: set it to false first";
            self.findings.refuse(
                subject,
                ViolationKind::Protected,
                "deletionProtection",
                message,
            );
        }
        // Those that are items are reported themselves.
        let users = self.after.referrers(key);
        let users: Vec<_> = users
            .filter(|user| self.plan.item(user).is_none())
            .collect();
        if !users.is_empty() {
            let message = format!("cannot be deleted: it is used by {}", list(&users));
            self.findings
                .refuse(subject, ViolationKind::Reference, "", message);
        }
    }

    fn parent(&mut self, subject: Subject<'_>, key: &Key) {
        let Some(parent) = key.parent() else { return };
        if self.after.get(&parent).is_none() {
            let field = match key.kind {
                Kind::Listener => "loadBalancer",
                Kind::Rule => "listener",
                _ => "targetGroup",
            };
            let message = self.missing(&parent);
            self.findings
                .refuse(subject, ViolationKind::Reference, field, message);
        }
    }

    fn references(&mut self, subject: Subject<'_>, resource: &v1::Resource) {
        for reference in references(resource) {
            // A name that is none was reported as such.
            let is_name = inlet_proto::name::is_name(&reference.to.name);
            if is_name && self.after.get(&reference.to).is_none() {
                let message = self.missing(&reference.to);
                self.findings
                    .refuse(subject, ViolationKind::Reference, reference.field, message);
            }
        }
    }

    fn missing(&self, key: &Key) -> String {
        let (kind, name) = (key.kind.name(), &key.name);
        if self.plan.deletes(key) {
            format!("{kind} {name} is deleted in the same change")
        } else {
            format!("there is no {kind} {name}")
        }
    }

    fn content(&mut self, subject: Subject<'_>, item: &Item, before: Option<&v1::Resource>) {
        let before = before.and_then(|before| before.kind.as_ref());
        let may_differ = self.terms.anew.contains(&item.key);
        match &item.resource.kind {
            Some(Body::LoadBalancer(balancer)) => {
                if let Some(Body::LoadBalancer(before)) = before {
                    self.balancer(subject, &item.key, before, balancer, may_differ);
                }
            }
            Some(Body::Listener(listener)) => {
                self.listener(subject, &item.key, listener);
                if let Some(Body::Listener(before)) = before
                    && before.protocol != listener.protocol
                {
                    self.rules_of(&item.key);
                }
            }
            Some(Body::Rule(rule)) => {
                self.rule(subject, rule, &item.resource);
                self.priority(subject, &item.key, rule);
            }
            Some(Body::TargetGroup(group)) => {
                if let Some(Body::TargetGroup(before)) = before {
                    self.group(subject, &item.key, before, group, may_differ);
                }
            }
            Some(Body::Target(_) | Body::Certificate(_)) | None => {}
        }
    }

    fn balancer(
        &mut self,
        subject: Subject<'_>,
        key: &Key,
        before: &v1::LoadBalancer,
        after: &v1::LoadBalancer,
        may_differ: bool,
    ) {
        if before.r#type != after.r#type {
            if !may_differ {
                let values = (before.r#type().as_str_name(), after.r#type().as_str_name());
                self.immutable(subject, "type", values);
            }
        } else if before.placement == after.placement && before.addresses == after.addresses {
            return;
        }
        let state = self.after;
        for (key, _) in state.children(key, Kind::Listener) {
            if let Some(listener) = listener_at(state, key) {
                self.listener(self.subject_of(key, subject), key, listener);
            }
        }
    }

    fn listener(&mut self, subject: Subject<'_>, key: &Key, listener: &v1::Listener) {
        let parent = key.parent().and_then(|parent| self.after.get(&parent));
        if let Some(Body::LoadBalancer(balancer)) = parent.and_then(|parent| parent.kind.as_ref()) {
            let fitting = protocols::of_listeners(balancer.r#type());
            if !fitting.is_empty() && !fitting.contains(&listener.protocol()) {
                let message = format!(
                    "LoadBalancer {} is {}: its listeners are {}, not {}",
                    balancer.name,
                    balancer.r#type().as_str_name(),
                    protocols::names(fitting),
                    listener.protocol().as_str_name()
                );
                self.findings
                    .refuse(subject, ViolationKind::Clash, "protocol", message);
            }
        }
        if let Some(resource) = self.after.get(key) {
            self.groups(subject, listener, resource);
        }
        for clash in port_clashes(self.after, key, listener) {
            if self.is_first(key, clash.with) {
                let message = format!("{} {}", listener.port, clash.why);
                self.findings
                    .refuse(subject, ViolationKind::Clash, "port", message);
            }
        }
    }

    /// Whether the groups that a listener, or a rule of it, forwards to fit.
    fn groups(&mut self, subject: Subject<'_>, listener: &v1::Listener, resource: &v1::Resource) {
        for reference in references(resource) {
            let group = self
                .after
                .get(&reference.to)
                .and_then(|group| group.kind.as_ref());
            if let Some(Body::TargetGroup(group)) = group
                && let Some(message) = protocols::misfit(listener, group)
            {
                self.findings
                    .refuse(subject, ViolationKind::Clash, reference.field, message);
            }
        }
    }

    fn rules_of(&mut self, listener: &Key) {
        let state = self.after;
        for (key, resource) in state.children(listener, Kind::Rule) {
            // Those that change too are judged themselves.
            if let (None, Some(Body::Rule(rule))) = (self.plan.item(key), &resource.kind) {
                self.rule(Subject::stored(key), rule, resource);
            }
        }
    }

    fn rule(&mut self, subject: Subject<'_>, rule: &v1::Rule, resource: &v1::Resource) {
        let parent = Key {
            kind: Kind::Listener,
            name: rule.listener.clone(),
        };
        let Some(listener) = listener_at(self.after, &parent) else {
            return;
        };
        if protocols::has_rules(listener) {
            self.groups(subject, listener, resource);
        } else {
            let message = format!(
                "Listener {} is {}: only HTTP and HTTPS listeners have rules",
                rule.listener,
                listener.protocol().as_str_name()
            );
            self.findings
                .refuse(subject, ViolationKind::Clash, "listener", message);
        }
    }

    fn priority(&mut self, subject: Subject<'_>, key: &Key, rule: &v1::Rule) {
        let state = self.after;
        for other in state.with_priority(&rule.listener, rule.priority) {
            if other != key && self.is_first(key, other) {
                let message = format!(
                    "{} is also the priority of Rule {}: each is given once per listener",
                    rule.priority, other.name
                );
                self.findings
                    .refuse(subject, ViolationKind::Clash, "priority", message);
            }
        }
    }

    fn group(
        &mut self,
        subject: Subject<'_>,
        key: &Key,
        before: &v1::TargetGroup,
        after: &v1::TargetGroup,
        may_differ: bool,
    ) {
        let version = protocols::version;
        if !may_differ {
            let (old, new) = (
                before.protocol().as_str_name(),
                after.protocol().as_str_name(),
            );
            self.immutable(subject, "protocol", (old, new));
            let (old, new) = (version(before).as_str_name(), version(after).as_str_name());
            self.immutable(subject, "protocolVersion", (old, new));
            let (old, new) = (before.port.to_string(), after.port.to_string());
            self.immutable(subject, "port", (&old, &new));
        } else if before.protocol != after.protocol || version(before) != version(after) {
            self.users_of(key);
        }
    }

    /// Whether those who forward to a group still fit.
    fn users_of(&mut self, group: &Key) {
        let state = self.after;
        for user in state.referrers(group) {
            let Some(resource) = state.get(user) else {
                continue;
            };
            // Those that change too are judged themselves.
            match (&resource.kind, self.plan.item(user)) {
                (Some(Body::Rule(rule)), None) => self.rule(Subject::stored(user), rule, resource),
                (Some(Body::Listener(listener)), None) => {
                    self.groups(Subject::stored(user), listener, resource);
                }
                _ => {}
            }
        }
    }

    fn immutable(&mut self, subject: Subject<'_>, field: &str, (old, new): (&str, &str)) {
        if old != new {
            let message =
                format!("is {old} and cannot change to {new}: delete it and make it anew");
            self.findings
                .refuse(subject, ViolationKind::Protected, field, message);
        }
    }

    /// A listener that is looked at because of its load balancer.
    fn subject_of<'k>(&self, key: &'k Key, balancer: Subject<'k>) -> Subject<'k>
    where
        'a: 'k,
    {
        let own = self.plan.item(key).map(Item::subject);
        own.unwrap_or(Subject {
            key: Some(key),
            ..balancer
        })
    }

    /// Whether a pair was not reported yet; it is from now on.
    fn is_first(&mut self, one: &Key, other: &Key) -> bool {
        let (one, other) = (one.min(other), one.max(other));
        self.reported.insert((one.clone(), other.clone()))
    }
}

/// `Rule shop/https/catalog, Rule shop/https/legacy and 7 more`.
fn list(users: &[&Key]) -> String {
    let name = |key: &&Key| format!("{} {}", key.kind.name(), key.name);
    let named: Vec<_> = users.iter().take(NAMED_REFERRERS).map(name).collect();
    match users.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
