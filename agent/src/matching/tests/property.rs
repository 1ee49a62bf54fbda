//! `find` gives exactly what a naive scan of the rules in order gives, over generated rules and requests.

use fastrand::Rng;

use super::*;

const RULE_SETS: u64 = 2_000;
const REQUESTS_PER_SET: usize = 30;

/// A condition as written.
#[derive(Debug, Clone)]
enum Written {
    Host(Vec<String>),
    Path(Vec<String>),
    Header(String, Vec<String>),
    Method(Vec<String>),
    Query(Vec<(String, String)>),
    Source(Vec<String>),
}

#[derive(Debug)]
struct Asked {
    method: String,
    host: String,
    path: String,
    query: Option<String>,
    source: IpAddr,
    headers: Vec<(&'static str, String)>,
}

#[test]
fn find_equals_a_scan_of_the_rules_in_order() {
    let (mut matched, mut missed) = (0, 0);
    for seed in 0..RULE_SETS {
        let mut random = Rng::with_seed(seed);
        let most = [3, 12, 60][random.usize(0..3)];
        let rules: Vec<_> = (0..random.u32(0..most))
            .map(|_| (random.u32(1..=50_000), conditions(&mut random)))
            .collect();
        let compiled = rules
            .iter()
            .map(|(priority, written)| (*priority, written.iter().map(compile).collect()));
        let router = router(compiled.collect());
        let mut in_order: Vec<_> = rules.iter().collect();
        in_order.sort_by_key(|(priority, _)| *priority);
        for _ in 0..REQUESTS_PER_SET {
            let asked = asked(&mut random, &rules);
            let expected = in_order
                .iter()
                .find(|(_, written)| written.iter().all(|one| naive(one, &asked)))
                .map_or(0, |(priority, _)| *priority);
            let found = find_asked(&router, &asked);
            assert_eq!(found, expected, "seed {seed}: {asked:?} of {in_order:#?}");
            *(if expected == 0 {
                &mut missed
            } else {
                &mut matched
            }) += 1;
        }
    }
    assert!(
        matched > 10_000 && missed > 3_000,
        "{matched} matched, {missed} missed"
    );
}

fn find_asked(router: &Router, asked: &Asked) -> u32 {
    let headers: Vec<_> = asked
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let request = Request {
        method: asked.method.as_bytes(),
        host: asked.host.as_bytes(),
        path: asked.path.as_bytes(),
        query: asked.query.as_deref().map(str::as_bytes),
        source: asked.source,
        headers: Lines(&headers),
    };
    find(router, &request).priority
}

fn compile(written: &Written) -> Condition {
    fn lent(texts: &[String]) -> Vec<&str> {
        texts.iter().map(String::as_str).collect()
    }
    match written {
        Written::Host(texts) => host(&lent(texts)),
        Written::Path(texts) => path(&lent(texts)),
        Written::Header(name, texts) => header(&name.to_ascii_lowercase(), &lent(texts)),
        Written::Method(texts) => method(&lent(texts)),
        Written::Source(texts) => source(&lent(texts)),
        Written::Query(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            query(&pairs)
        }
    }
}

// The naive side: nothing of the code under test.

fn naive(written: &Written, asked: &Asked) -> bool {
    let lower = str::to_ascii_lowercase;
    match written {
        Written::Host(patterns) => {
            let host = lower(&asked.host);
            patterns
                .iter()
                .any(|pattern| wild(lower(pattern).as_bytes(), host.as_bytes()))
        }
        Written::Path(patterns) => patterns
            .iter()
            .any(|pattern| wild(pattern.as_bytes(), asked.path.as_bytes())),
        Written::Header(name, patterns) => asked.headers.iter().any(|(own, value)| {
            own.eq_ignore_ascii_case(name)
                && patterns
                    .iter()
                    .any(|pattern| wild(lower(pattern).as_bytes(), lower(value).as_bytes()))
        }),
        Written::Method(methods) => methods.contains(&asked.method),
        Written::Query(pairs) => asked
            .query
            .iter()
            .flat_map(|query| query.split('&'))
            .any(|one| {
                let (key, value) = one.split_once('=').unwrap_or((one, ""));
                !one.is_empty()
                    && pairs.iter().any(|(wanted_key, wanted)| {
                        (wanted_key.is_empty()
                            || wild(wanted_key.as_bytes(), lower(key).as_bytes()))
                            && wild(lower(wanted).as_bytes(), lower(value).as_bytes())
                    })
            }),
        Written::Source(nets) => nets
            .iter()
            .any(|net| net.parse::<ipnet::IpNet>().unwrap().contains(&asked.source)),
    }
}

/// Whether a text matches, one character after the other, trying everything.
fn wild(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|taken| wild(rest, &text[taken..])),
        ([b'?', rest @ ..], [_, tail @ ..]) => wild(rest, tail),
        ([one, rest @ ..], [byte, tail @ ..]) => one == byte && wild(rest, tail),
        _ => false,
    }
}

// Generators: few words, so that much matches and much nearly matches.

fn conditions(random: &mut Rng) -> Vec<Written> {
    let mut written = Vec::new();
    if random.u8(0..3) > 0 {
        written.push(Written::Host(several(random, host_pattern)));
    }
    if random.u8(0..3) > 0 {
        written.push(Written::Path(several(random, path_pattern)));
    }
    if written.is_empty() || random.u8(0..4) == 0 {
        written.push(match random.u8(0..4) {
            0 => Written::Header(text(random, &["X-Team", "X-Beta"]), several(random, value)),
            1 => Written::Method(several(random, |random| {
                text(random, &["GET", "POST", "PUT"])
            })),
            2 => Written::Query(several(random, |random| {
                (text(random, &["", "a", "b*"]), value(random))
            })),
            _ => Written::Source(several(random, |random| {
                text(
                    random,
                    &["10.0.0.0/8", "10.1.0.0/16", "::1/128", "10.1.1.1/32"],
                )
            })),
        });
    }
    random.shuffle(&mut written);
    written
}

fn asked(random: &mut Rng, rules: &[(u32, Vec<Written>)]) -> Asked {
    // Often what some rule asks for, with its wildcards filled in.
    let (mut host, mut path) = (host_pattern(random), path_pattern(random));
    if !rules.is_empty() && random.u8(0..4) > 0 {
        let (_, written) = &rules[random.usize(0..rules.len())];
        for condition in written {
            match condition {
                Written::Host(patterns) => host = one(random, patterns).clone(),
                Written::Path(patterns) => path = one(random, patterns).clone(),
                _ => {}
            }
        }
    }
    let mut host = filled(random, &host);
    if random.bool() {
        host.make_ascii_uppercase();
    }
    let pair = |random: &mut Rng| format!("{}={}", text(random, &["a", "B1", "c"]), word(random));
    Asked {
        method: text(random, &["GET", "POST", "DELETE"]),
        host,
        path: filled(random, &path),
        query: random.bool().then(|| several(random, pair).join("&")),
        source: text(random, &["10.1.1.1", "10.2.0.1", "192.0.2.1", "::1"])
            .parse()
            .unwrap(),
        headers: vec![("x-team", word(random)), ("X-TEAM", word(random))],
    }
}

fn host_pattern(random: &mut Rng) -> String {
    let labels = several(random, |random| {
        text(
            random,
            &[
                "shop", "api", "*", "a*", "*a", "x?", "?", "tenant-1", "tenant-2",
            ],
        )
    });
    format!("{}.{}", labels.join("."), text(random, &["com", "org"]))
}

fn path_pattern(random: &mut Rng) -> String {
    let segments = several(random, |random| {
        text(
            random,
            &["a", "b", "ab", "*", "?", "a*b", "*b*", "img?", "A"],
        )
    });
    let end = text(random, &["", "", "/", "/*", "*", ".jpg"]);
    let start = if random.u8(0..10) == 0 { "*" } else { "/" };
    format!("{start}{}{end}", segments.join("/"))
}

fn value(random: &mut Rng) -> String {
    text(random, &["*", "red", "R*", "*e*", "b?ue", "blue"])
}

fn word(random: &mut Rng) -> String {
    text(random, &["red", "Blue", "green", ""])
}

/// Wildcards replaced by something; now and then one character too many or too few.
fn filled(random: &mut Rng, pattern: &str) -> String {
    let mut text: String = pattern
        .chars()
        .map(|c| match c {
            '*' => text(random, &["", "a", "x/b", "shop", "ab"]),
            '?' => text(random, &["a", "1", ""]),
            c => c.to_string(),
        })
        .collect();
    match random.u8(0..8) {
        0 => drop(text.pop()),
        1 => text.push('a'),
        _ => {}
    }
    text
}

fn several<T>(random: &mut Rng, mut make: impl FnMut(&mut Rng) -> T) -> Vec<T> {
    (0..random.usize(1..=3)).map(|_| make(random)).collect()
}

fn text(random: &mut Rng, list: &[&str]) -> String {
    (*one(random, list)).to_owned()
}

fn one<'a, T>(random: &mut Rng, list: &'a [T]) -> &'a T {
    &list[random.usize(0..list.len())]
}
