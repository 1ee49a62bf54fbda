//! What matching and compiling cost, by number of rules: `cargo bench -p inlet-tests --bench matching`.
//!
//! Prints nanoseconds per request (the best of several rounds) and milliseconds per compile.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inlet_agent::compile::{Compiler, View};
use inlet_agent::live::Registry;
use inlet_agent::matching::{Headers, Request, find};
use inlet_agent::table::{Router, Service, Table};
use inlet_proto::v1;
use inlet_proto::v1::condition::Kind as Condition;
use inlet_tests::timing::ns_per_operation;

const COUNTS: [usize; 3] = [1, 100, 10_000];
const REQUESTS: usize = 20_000;
const TARGETS: usize = 1_000;

/// How the rules of a listener look: name, host and path pattern of rule `n`.
type Shape = (&'static str, fn(usize) -> (Option<String>, Option<String>));

const SHAPES: [Shape; 6] = [
    ("paths: /service-N/*", |n| {
        (None, Some(format!("/service-{n}/*")))
    }),
    ("exact paths: /service-N/item", |n| {
        (None, Some(format!("/service-{n}/item")))
    }),
    ("hosts: tenant-N.example.com", |n| {
        (Some(format!("tenant-{n}.example.com")), None)
    }),
    ("wildcard hosts and paths", |n| {
        let host = format!("*.tenant-{}.example.com", n % 100);
        (Some(host), Some(format!("/service-{n}/*")))
    }),
    ("path ends: *N.jpg", |n| (None, Some(format!("*-{n}.jpg")))),
    ("path middles: */tenant-N/*", |n| {
        (None, Some(format!("*/tenant-{n}/*")))
    }),
];

struct NoHeaders;

impl Headers for NoHeaders {
    fn any(&self, _: &[u8], _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}

fn main() {
    println!("matching, ns per request");
    println!(
        "{:<32}{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "rules", "first", "middle", "last", "none", "random"
    );
    for (name, shape) in SHAPES {
        for count in COUNTS {
            let (_, table) = compiled(count, shape);
            let router = router(&table);
            let fixed =
                [0, count / 2, count - 1, count].map(|rule| time(router, shape, &[rule], count));
            let mut random = fastrand::Rng::with_seed(1);
            let many: Vec<_> = (0..4096).map(|_| random.usize(0..count)).collect();
            let random = time(router, shape, &many, count);
            print!("{name:<32}{count:>8}");
            for ns in fixed.into_iter().chain([random]) {
                print!("{ns:>10.0}");
            }
            println!();
        }
    }
    compile_times();
}

/// Nanoseconds per request for these rules; the rule `count` = a request that no rule matches.
fn time(
    router: &Router,
    shape: fn(usize) -> (Option<String>, Option<String>),
    rules: &[usize],
    count: usize,
) -> f64 {
    let texts: Vec<_> = rules.iter().map(|rule| text(shape(*rule))).collect();
    let requests: Vec<_> = texts
        .iter()
        .map(|(host, path)| request(host, path))
        .collect();
    for (rule, request) in rules.iter().zip(&requests) {
        let expected = if *rule < count { *rule as u32 + 1 } else { 0 };
        assert_eq!(find(router, request).priority, expected);
    }
    ns_per_operation(REQUESTS, || {
        for request in requests.iter().cycle().take(REQUESTS) {
            black_box(find(router, black_box(request)).priority);
        }
    })
}

/// Host and path that match the patterns.
fn text((host, path): (Option<String>, Option<String>)) -> (String, String) {
    let host = host.unwrap_or_else(|| "www.example.com".to_owned());
    let path = path.unwrap_or_else(|| "/index.html".to_owned());
    let path = match path.strip_prefix('*') {
        Some(end) => format!("/a{end}"),
        None => path,
    };
    let (host, path) = (host.replace('*', "www"), path.replace('*', "orders/17"));
    (host, path)
}

fn request<'a>(host: &'a str, path: &'a str) -> Request<'a, NoHeaders> {
    Request {
        method: b"GET",
        host: host.as_bytes(),
        path: path.as_bytes(),
        query: None,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        headers: NoHeaders,
    }
}

fn compile_times() {
    println!("\ncompiling {} rules and {TARGETS} targets, ms", COUNTS[2]);
    for (name, shape) in SHAPES {
        let start = Instant::now();
        let (mut host, mut table) = compiled(COUNTS[2], shape);
        let whole = ms(start.elapsed());
        let mut rule_times = Vec::new();
        let mut target_times = Vec::new();
        for round in 0..10 {
            let n = round * 997;
            let (host_pattern, path) = shape(n);
            let changed = rule(n, host_pattern, path.map(|path| path.replace("*", "*?")));
            rule_times.push(host.change(&mut table, changed));
            target_times.push(host.change(&mut table, target(round, 2)));
        }
        let (rule, target) = (best(&rule_times), best(&target_times));
        println!(
            "{name:<32} from scratch (views made too) {whole:>6.1}, one rule {rule:>6.2}, one target {target:>6.2}"
        );
    }
}

fn best(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What an agent compiles from.
struct Host {
    compiler: Compiler,
    view: View,
}

impl Host {
    /// Puts one changed resource in force; how many milliseconds that took.
    fn change(&mut self, table: &mut Arc<Table>, resource: v1::Resource) -> f64 {
        let key = resource.key().expect("it has a kind");
        self.view.insert(key.clone(), Arc::new(resource));
        let changed = BTreeSet::from([key]);
        let start = Instant::now();
        let made = self
            .compiler
            .compile(table, &self.view, &changed, table.revision + 1);
        let took = ms(start.elapsed());
        *table = made.expect("it is well-formed");
        took
    }
}

/// A listener with that many rules, compiled.
fn compiled(
    count: usize,
    shape: fn(usize) -> (Option<String>, Option<String>),
) -> (Host, Arc<Table>) {
    let rules = (0..count).map(|n| {
        let (host, path) = shape(n);
        rule(n, host, path)
    });
    let resources = frame()
        .into_iter()
        .chain(rules)
        .chain((0..TARGETS).map(|n| target(n, 1)));
    let view: View = resources
        .map(|resource| (resource.key().expect("it has a kind"), Arc::new(resource)))
        .collect();
    let compiler = Compiler::new(Arc::new(Registry::new(2)));
    let changed = view.keys().cloned().collect();
    let table = compiler.compile(&Arc::default(), &view, &changed, 1);
    let table = table.expect("it is well-formed");
    (Host { compiler, view }, table)
}

fn frame() -> [v1::Resource; 3] {
    let group = v1::TargetGroup {
        name: "all".to_owned(),
        protocol: v1::Protocol::Http.into(),
        port: 9001,
        ..Default::default()
    };
    let balancer = v1::LoadBalancer {
        name: "shop".to_owned(),
        r#type: v1::load_balancer::Type::Application.into(),
        ..Default::default()
    };
    let listener = v1::Listener {
        name: "http".to_owned(),
        load_balancer: "shop".to_owned(),
        protocol: v1::Protocol::Http.into(),
        port: 8080,
        default_actions: vec![forward()],
        ..Default::default()
    };
    [group.into(), balancer.into(), listener.into()]
}

fn rule(n: usize, host: Option<String>, path: Option<String>) -> v1::Resource {
    let condition = |make: fn(v1::ValuesCondition) -> Condition, value: String| v1::Condition {
        kind: Some(make(v1::ValuesCondition {
            values: vec![value],
            ..Default::default()
        })),
    };
    let host = host.map(|host| condition(Condition::HostHeader, host));
    let path = path.map(|path| condition(Condition::PathPattern, path));
    v1::Rule {
        name: format!("rule-{n}"),
        listener: "shop/http".to_owned(),
        priority: n as u32 + 1,
        conditions: host.into_iter().chain(path).collect(),
        actions: vec![forward()],
        ..Default::default()
    }
    .into()
}

fn target(n: usize, weight: u32) -> v1::Resource {
    v1::Target {
        target_group: "all".to_owned(),
        address: format!("10.0.{}.{}", n / 250, n % 250 + 1),
        port: 9001,
        weight: Some(weight),
        ..Default::default()
    }
    .into()
}

fn forward() -> v1::Action {
    v1::Action {
        kind: Some(v1::action::Kind::Forward(v1::Forward {
            target_groups: vec![v1::forward::WeightedTargetGroup {
                name: "all".to_owned(),
                weight: None,
            }],
            ..Default::default()
        })),
    }
}

fn router(table: &Table) -> &Router {
    let listener = table
        .listeners
        .iter()
        .flatten()
        .next()
        .expect("one listener");
    match &listener.service {
        Service::Http(service) => &service.router,
        Service::Tcp(_) => panic!("it is HTTP"),
    }
}
