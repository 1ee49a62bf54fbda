//! Manifests -> tables, through the same resources that the control plane sends.

use std::time::Duration;

use inlet_proto::manifest;
use inlet_proto::v1::resource::Kind as Body;

use super::*;
use crate::table::{
    Action, Algorithm, Forward, Group, HttpService, Listener, Probe, Service, TcpService,
    XForwardedFor,
};

mod incremental;
mod refused;

const SHOP: &str = r#"
kind: LoadBalancer
name: shop
type: APPLICATION
addresses: [127.0.0.1, "::1"]
application: {idleTimeout: 90s, preserveHostHeader: true, xForwardedFor: {clientPort: true}}
---
kind: Listener
name: http
loadBalancer: shop
protocol: HTTP
port: 8080
defaultActions: [{fixedResponse: {statusCode: 404, body: no such page}}]
---
kind: Rule
name: catalog
listener: shop/http
priority: 20
conditions: [{pathPattern: {values: ["/catalog/*"]}}]
actions: [{forward: {targetGroups: [{name: catalog, weight: 9}, {name: catalog-next, weight: 0}]}}]
---
kind: Rule
name: home
listener: shop/http
priority: 10
conditions: [{pathPattern: {values: [/]}}, {hostHeader: {values: ["*.Example.com"]}}]
actions: [{redirect: {path: /catalog/, statusCode: 302}}]
---
kind: TargetGroup
name: catalog
protocol: HTTP
port: 9001
algorithm: LEAST_OUTSTANDING_REQUESTS
healthCheck: {path: /healthz, matcher: "200,300-399", port: 9999}
targets: [{address: 10.0.0.2, weight: 5}, {address: 10.0.0.1}, {address: "::1", port: 81, weight: 0}]
---
kind: TargetGroup
name: catalog-next
protocol: HTTP
port: 9001
"#;

const NET: &str = r#"
kind: LoadBalancer
name: net
type: NETWORK
---
kind: Listener
name: postgres
loadBalancer: net
protocol: TCP
port: 5432
tcpIdleTimeout: 10m
defaultActions: [{forward: {targetGroups: [{name: postgres}]}}]
---
kind: TargetGroup
name: postgres
protocol: TCP
port: 5432
deregistrationDelay: 1m
connectionTermination: true
targets: [{address: 10.0.0.9}]
"#;

/// An agent as far as compiling goes: what it has, what changed since, what is in force.
struct Host {
    compiler: Compiler,
    view: View,
    changed: BTreeSet<Key>,
    table: Arc<Table>,
}

impl Host {
    fn new() -> Self {
        Self {
            compiler: Compiler::new(Arc::new(Registry::new(2))),
            view: View::new(),
            changed: BTreeSet::new(),
            table: Arc::default(),
        }
    }

    fn with(manifests: &[&str]) -> Self {
        let mut host = Self::new();
        for manifest in manifests {
            host.put(manifest);
        }
        host.compile().unwrap();
        host
    }

    /// Adds or replaces what the documents say, the way the control plane sends it.
    fn put(&mut self, yaml: &str) {
        let documents = manifest::parse(yaml, &mut |_| Err(String::new())).unwrap();
        for document in documents {
            let mut resource = document.resource;
            if let Some(Body::TargetGroup(group)) = &mut resource.kind {
                for target in std::mem::take(&mut group.targets) {
                    self.put_resource(filled(target, group).into());
                }
            }
            self.put_resource(resource);
        }
    }

    fn put_resource(&mut self, resource: v1::Resource) {
        let key = resource.key().unwrap();
        self.view.insert(key.clone(), Arc::new(resource));
        self.changed.insert(key);
    }

    fn put_target(&mut self, group: &str, address: &str, weight: u32) {
        self.put_resource(target(group, address, weight));
    }

    fn edit(&mut self, kind: Kind, name: &str, edit: impl FnOnce(&mut Body)) {
        let mut resource = (*self.view[&key(kind, name)]).clone();
        edit(resource.kind.as_mut().unwrap());
        self.put_resource(resource);
    }

    fn remove(&mut self, kind: Kind, name: &str) {
        self.view.remove(&key(kind, name)).unwrap();
        self.changed.insert(key(kind, name));
    }

    /// Puts all changes in force, or says why not: then everything stays as it is.
    fn compile(&mut self) -> Result<(), Vec<String>> {
        let revision = self.table.revision + 1;
        let made = self
            .compiler
            .compile(&self.table, &self.view, &self.changed, revision);
        self.table = made.map_err(|reasons| told(&reasons))?;
        assert_eq!(self.table.revision, revision);
        self.changed.clear();
        Ok(())
    }

    fn listener(&self, name: &str) -> &Arc<Listener> {
        let mut all = self.table.listeners.iter().flatten();
        all.find(|listener| *listener.name == *name).unwrap()
    }

    fn http(&self, name: &str) -> &HttpService {
        match &self.listener(name).service {
            Service::Http(service) => service,
            Service::Tcp(_) => panic!("{name} is TCP"),
        }
    }

    fn group(&self, name: &str) -> &Arc<Group> {
        let mut all = self.table.groups.iter().flatten();
        all.find(|group| *group.name == *name).unwrap()
    }
}

fn key(kind: Kind, name: &str) -> Key {
    Key::of(kind, name).unwrap()
}

fn told(reasons: &[v1::refusal::Reason]) -> Vec<String> {
    let told = reasons.iter().map(|reason| {
        let key = reason.key.as_ref().unwrap();
        format!("{} {}: {}", key.kind, key.name, reason.message)
    });
    told.collect()
}

/// As the control plane keeps targets: with group and port.
fn filled(mut target: v1::Target, group: &v1::TargetGroup) -> v1::Target {
    target.port = inlet_proto::defaults::target_port(&target, group);
    target.target_group.clone_from(&group.name);
    target
}

fn target(group: &str, address: &str, weight: u32) -> v1::Resource {
    let address: std::net::SocketAddr = address.parse().unwrap();
    v1::Target {
        target_group: group.to_owned(),
        address: address.ip().to_string(),
        port: address.port().into(),
        weight: Some(weight),
        ..Default::default()
    }
    .into()
}

fn members(group: &Group) -> Vec<String> {
    let members = group.pool.members.iter();
    members
        .map(|(target, weight)| format!("{} {weight}", target.address))
        .collect()
}

#[test]
fn an_http_listener_has_its_load_balancers_addresses_and_attributes() {
    let host = Host::with(&[SHOP]);
    let listener = host.listener("shop/http");
    assert_eq!((&*listener.load_balancer, listener.port), ("shop", 8080));
    let addresses = ["127.0.0.1:8080", "[::1]:8080"].map(|text| text.parse().unwrap());
    assert_eq!(*listener.addresses, addresses);
    let service = host.http("shop/http");
    assert_eq!(service.idle_timeout, Duration::from_secs(90));
    assert_eq!(service.client_keep_alive, Duration::from_secs(3600));
    assert!(service.preserve_host_header && !service.drop_invalid_header_fields);
    let append = XForwardedFor::Append { client_port: true };
    assert_eq!(service.x_forwarded_for, append);
}

#[test]
fn rules_stand_in_the_order_of_their_priorities_and_lead_to_their_groups() {
    let host = Host::with(&[SHOP]);
    let router = &host.http("shop/http").router;
    let names: Vec<_> = router
        .rules
        .iter()
        .map(|rule| (&*rule.name, rule.priority))
        .collect();
    assert_eq!(names, [("home", 10), ("catalog", 20)]);
    let catalog = router.rules.iter().nth(1).unwrap();
    let Action::Forward(forward) = &catalog.action else {
        panic!("{catalog:?}");
    };
    let groups = [
        (host.group("catalog").id, 9),
        (host.group("catalog-next").id, 0),
    ];
    assert_eq!((&*forward.groups, forward.total_weight), (&groups[..], 9));
    assert!(matches!(&router.default, Action::FixedResponse(answer) if answer.status == 404));
    for (id, _) in groups {
        assert_eq!(host.table.group(id).unwrap().id, id);
    }
}

#[test]
fn a_group_has_its_targets_in_the_order_of_their_names() {
    let host = Host::with(&[SHOP]);
    let group = host.group("catalog");
    assert_eq!(
        members(group),
        ["10.0.0.1:9001 1", "10.0.0.2:9001 5", "[::1]:81 0"]
    );
    assert_eq!(group.algorithm, Algorithm::LeastOutstandingRequests);
    let check = &group.health_check;
    assert_eq!((check.port, check.timeout.as_secs()), (Some(9999), 5));
    let Probe::Http { path, matcher } = &check.probe else {
        panic!("{check:?}");
    };
    assert_eq!(
        (&**path, &**matcher),
        ("/healthz", &[(200, 200), (300, 399)][..])
    );
    let schedule = group.pool.schedule.load();
    assert!(
        schedule.fail_open && schedule.turns.len() == 6,
        "{schedule:?}"
    );
    assert!(host.group("catalog-next").pool.members.is_empty());
}

#[test]
fn a_tcp_listener_forwards_and_listens_everywhere_by_default() {
    let host = Host::with(&[NET]);
    let listener = host.listener("net/postgres");
    let addresses = ["0.0.0.0:5432", "[::]:5432"].map(|text| text.parse().unwrap());
    assert_eq!(*listener.addresses, addresses);
    let Service::Tcp(TcpService {
        forward: Forward { groups, .. },
        idle_timeout,
    }) = &listener.service
    else {
        panic!("{listener:?}");
    };
    let group = host.group("postgres");
    assert_eq!(
        (&**groups, idle_timeout.as_secs()),
        (&[(group.id, 1)][..], 600)
    );
    assert_eq!(
        (group.algorithm, &group.health_check.probe),
        (Algorithm::FlowHash, &Probe::Tcp)
    );
    assert_eq!(group.deregistration_delay, Duration::from_secs(60));
    assert!(group.connection_termination);
}

#[test]
fn nothing_at_all_is_a_table_too() {
    let mut host = Host::with(&[SHOP, NET]);
    for key in host.view.keys().cloned().collect::<Vec<_>>() {
        host.remove(key.kind, &key.name);
    }
    host.compile().unwrap();
    assert!(host.table.listeners.iter().all(Option::is_none));
    assert!(host.table.groups.iter().all(Option::is_none));
}
