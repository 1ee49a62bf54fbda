//! Snapshots, from the disk and from the stream: never a panic, never half in force.
//!
//! An input is a script, one step after the other, each a word and what belongs to it, with `\n==\n` between them:
//!
//! | step | what it does |
//! |---|---|
//! | `open`, `lost`, `tick` | the stream opens or ends, time passes |
//! | `part BYTES` | an encoded part arrives as it is |
//! | `manifest YAML`, `resource BYTES`, `remove KIND NAME` | is added to the next `send` |
//! | `send complete N`, `send delta N` | what was added arrives in N parts whose numbers and digest are right |
//! | `file BYTES`, `sealed BYTES` | a kept snapshot is read, as it is or with its checksum put right |
//!
//! Whatever is to be put in force is compiled, and that decides. Promises: outside of a decision the view is that of
//! the last revision in force, to the byte; its digest is that of its content; what compiles bit by bit compiles as a
//! whole, and what is refused leaves no trace.

mod host;

use fastrand::Rng;
use inlet_proto::manifest::parse;
use inlet_proto::v1;
use prost::Message as _;

use crate::fuzz::{Outcome, Target, feature, wire};
use host::{Host, Step};

pub(super) static TARGET: Target = Target {
    name: "snapshot",
    dictionary: &[
        SEPARATOR, b"open", b"lost", b"tick", b"send complete 1", b"send delta 1", b"send complete 3", b"send delta 2", b"part ", b"file ", b"sealed ",
        b"resource ", b"remove Rule a/b/c", b"remove TargetGroup g", b"remove Target g/127.0.0.1:80", b"remove LoadBalancer a", b"remove Listener a/b",
        b"manifest kind: TargetGroup\nname: g\nprotocol: HTTP\nport: 80\ntargets: [{address: 127.0.0.1}]\n",
        b"manifest kind: LoadBalancer\nname: a\ntype: APPLICATION\n",
        b"manifest kind: Listener\nname: b\nloadBalancer: a\nprotocol: HTTP\nport: 8080\ndefaultActions: [{forward: {targetGroups: [{name: g}]}}]\n",
        b"manifest kind: Rule\nname: c\nlistener: a/b\npriority: 1\nconditions: [{pathPattern: {values: [\"/*\"]}}]\nactions: [{fixedResponse: {statusCode: 200}}]\n",
        b"name: g\n", b"name: h\n", b"weight: 0", b"\n==\nopen\n==\n", b"\n==\nlost\n==\nopen\n==\n", b"inletsnp\x01\0\0\0",
    ],
    bytes_max: 20_000,
    own_mutation: Some(mutate),
    run,
};

/// Between the steps of a script.
const SEPARATOR: &[u8] = b"\n==\n";
/// Steps of a script that are taken.
const STEPS_MAX: usize = 64;
/// Words whose rest is an encoded message.
const ENCODED: [&[u8]; 4] = [b"part ", b"resource ", b"sealed ", b"file "];

fn run(bytes: &[u8]) -> Outcome {
    let mut host = Host::default();
    let mut before = Step::Nothing;
    for step in split(bytes).into_iter().take(STEPS_MAX) {
        let after = host.step(step);
        host.check();
        host.features.insert(feature((before, after)));
        before = after;
    }
    Outcome {
        accepted: host.applied > 0,
        features: host.features.into_iter().collect(),
    }
}

fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut steps = Vec::new();
    while let Some(end) = bytes
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR)
    {
        steps.push(&bytes[..end]);
        bytes = &bytes[end + SEPARATOR.len()..];
    }
    steps.push(bytes);
    steps
}

/// Changes one encoded message of the script as a message, or moves steps.
fn mutate(random: &mut Rng, input: &mut Vec<u8>) {
    let mut steps: Vec<Vec<u8>> = split(input).into_iter().map(<[u8]>::to_vec).collect();
    let (at, place) = (random.usize(..steps.len()), random.usize(..steps.len()));
    match random.u8(..8) {
        0 => steps.swap(at, place),
        1 => steps.insert(place, steps[at].clone()),
        2 if steps.len() > 1 => drop(steps.remove(at)),
        // A manifest as the messages that it is made of, which then can be changed into what no manifest could say.
        3 => {
            let resources = resources_of(&steps[at]);
            if let Some(resource) = random.choice(&resources) {
                steps[at] = [b"resource ", &resource.encode_to_vec()[..]].concat();
            }
        }
        _ => {
            let encoded: Vec<usize> = (0..steps.len())
                .filter(|step| word_end(&steps[*step]).is_some())
                .collect();
            if let Some(step) = random.choice(encoded)
                && let Some(end) = word_end(&steps[step])
            {
                let mut message = steps[step].split_off(end);
                wire::mutate(random, &mut message);
                steps[step].extend(message);
            }
        }
    }
    *input = steps.join(SEPARATOR);
}

fn word_end(step: &[u8]) -> Option<usize> {
    let word = ENCODED.iter().find(|word| step.starts_with(word))?;
    Some(word.len())
}

/// The resources of a `manifest` step, targets as resources of their own.
fn resources_of(step: &[u8]) -> Vec<v1::Resource> {
    let text = step.strip_prefix(b"manifest ").unwrap_or_default();
    let documents = parse(&String::from_utf8_lossy(text), &mut |_| Ok(String::new()));
    let mut resources = Vec::new();
    for document in documents.unwrap_or_default() {
        let mut resource = document.resource;
        if let Some(v1::resource::Kind::TargetGroup(group)) = &mut resource.kind {
            let port = group.port;
            resources.extend(
                std::mem::take(&mut group.targets)
                    .into_iter()
                    .map(|mut target| {
                        target.target_group.clone_from(&group.name);
                        target.port = if target.port == 0 { port } else { target.port };
                        v1::Resource::from(target)
                    }),
            );
        }
        resources.push(resource);
    }
    resources
}
