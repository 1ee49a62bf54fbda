//! What choosing a target costs, by algorithm and number of targets: `cargo bench -p inlet-tests --bench balancing`.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;

use inlet_agent::balance::{pick, schedule};
use inlet_agent::compile::{Compiler, View};
use inlet_agent::live::{InFlight, Registry};
use inlet_agent::table::Group;
use inlet_proto::v1;
use inlet_proto::v1::target_group::Algorithm;
use inlet_tests::timing::{bench, ns_per_operation};

const COUNTS: [u32; 3] = [1, 10, 1_000];

fn main() {
    println!("balancing, ns per choice");
    // Groups below HTTP choose by the hash of the flow, whatever else they are told.
    for (name, protocol, algorithm) in [
        ("round robin", v1::Protocol::Http, Algorithm::RoundRobin),
        (
            "least outstanding",
            v1::Protocol::Http,
            Algorithm::LeastOutstandingRequests,
        ),
        ("flow hash", v1::Protocol::Tcp, Algorithm::Unspecified),
    ] {
        for count in COUNTS {
            let group = compiled(protocol, algorithm, count);
            // Not all alike, so that there is something to compare.
            let members = group.pool.members.iter().step_by(3);
            let busy: Vec<_> = members
                .map(|(target, _)| InFlight::new(Arc::clone(target)))
                .collect();
            let mut random = fastrand::Rng::with_seed(1);
            bench(&format!("{name}, {count} targets"), || {
                let picked = pick(&group, random.u64(..));
                black_box(picked.expect("there is a target"));
            });
            drop(busy);
        }
    }
    println!("\na new schedule after a change of health, ns");
    for count in COUNTS {
        let group = compiled(v1::Protocol::Http, Algorithm::RoundRobin, count);
        let ns = ns_per_operation(1, || drop(black_box(schedule(&group.pool.members))));
        println!("{:<60}{ns:>10.0} ns", format!("{count} targets"));
    }
}

fn compiled(protocol: v1::Protocol, algorithm: Algorithm, count: u32) -> Arc<Group> {
    let group = v1::TargetGroup {
        name: "all".to_owned(),
        protocol: protocol.into(),
        port: 9001,
        algorithm: algorithm.into(),
        ..Default::default()
    };
    let targets = (0..count).map(|number| {
        v1::Target {
            target_group: "all".to_owned(),
            address: format!("10.0.{}.{}", number / 250, number % 250 + 1),
            port: 9001,
            weight: Some(1 + number % 3),
            ..Default::default()
        }
        .into()
    });
    let resources = [v1::Resource::from(group)].into_iter().chain(targets);
    let view: View = resources
        .map(|resource| (resource.key().expect("it has a kind"), Arc::new(resource)))
        .collect();
    let changed: BTreeSet<_> = view.keys().cloned().collect();
    let compiler = Compiler::new(Arc::new(Registry::new(2)));
    let table = compiler.compile(&Arc::default(), &view, &changed, 1);
    let table = table.expect("it is well-formed");
    let mut groups = table.groups.iter().flatten();
    Arc::clone(groups.next().expect("one group"))
}
