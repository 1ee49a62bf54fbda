//! Resources of each kind as tables: the columns that people look for.

use std::time::SystemTime;

use inlet_proto::kind::Kind;
use inlet_proto::v1::resource::Kind as Body;
use inlet_proto::{defaults, v1};

use super::age::age;
use super::fleet::pairs;
use super::table::{Cell, Table};

/// Values of a condition that are shown; the others are counted.
const MAX_VALUES: usize = 3;

/// Resources of one kind. Rules come in the order in which they are tried.
pub(crate) fn table(
    kind: Kind,
    resources: &[v1::Resource],
    is_wide: bool,
    now: SystemTime,
) -> Table {
    let mut headings = vec!["NAME"];
    headings.extend(own_headings(kind));
    headings.push("AGE");
    if is_wide {
        headings.extend(["~TAGS", "#REVISION", "UID"]);
    }
    let mut table = Table::new(&headings);
    let mut ordered: Vec<_> = resources.iter().collect();
    ordered.sort_by_key(|resource| order(resource));
    for resource in ordered {
        let kept = resource.kept().unwrap_or_default();
        let mut cells = vec![Cell::from(
            resource.key().map(|key| key.name).unwrap_or_default(),
        )];
        cells.extend(own_cells(resource).into_iter().map(Cell::from));
        cells.push(age(now, kept.create_time.as_ref()).into());
        if is_wide {
            cells.extend([tags(resource), kept.revision.to_string(), kept.uid].map(Cell::from));
        }
        if cells.len() == headings.len() {
            table.row(cells);
        }
    }
    table
}

/// Rules by listener and priority; the others stay in the order of their names.
fn order(resource: &v1::Resource) -> Option<(String, u32)> {
    match &resource.kind {
        Some(Body::Rule(rule)) => Some((rule.listener.clone(), rule.priority)),
        _ => None,
    }
}

fn own_headings(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::LoadBalancer => &["TYPE", "~ADDRESSES", "~PLACEMENT"],
        Kind::TargetGroup => &[
            "PROTOCOL",
            "#PORT",
            "#TARGETS",
            "ALGORITHM",
            "~HEALTH CHECK",
        ],
        Kind::Target => &["#WEIGHT"],
        Kind::Certificate => &["SOURCE"],
        Kind::Listener => &["PROTOCOL", "#PORT", "~DEFAULT ACTION"],
        Kind::Rule => &["#PRIORITY", "~CONDITIONS", "~ACTION"],
    }
}

/// In the order of [`own_headings`]; empty if the envelope is.
fn own_cells(resource: &v1::Resource) -> Vec<String> {
    match &resource.kind {
        Some(Body::LoadBalancer(balancer)) => vec![
            balancer.r#type().as_str_name().to_owned(),
            balancer.addresses.join(","),
            pairs(&balancer.placement),
        ],
        Some(Body::TargetGroup(group)) => vec![
            group.protocol().as_str_name().to_owned(),
            group.port.to_string(),
            group.targets.len().to_string(),
            algorithm(group).to_owned(),
            health_check(group),
        ],
        Some(Body::Target(target)) => vec![defaults::target_weight(target).to_string()],
        Some(Body::Certificate(certificate)) => vec![source(certificate).to_owned()],
        Some(Body::Listener(listener)) => vec![
            listener.protocol().as_str_name().to_owned(),
            listener.port.to_string(),
            actions(&listener.default_actions),
        ],
        Some(Body::Rule(rule)) => vec![
            rule.priority.to_string(),
            rule.conditions
                .iter()
                .map(condition)
                .collect::<Vec<_>>()
                .join(" "),
            actions(&rule.actions),
        ],
        None => Vec::new(),
    }
}

/// Below HTTP the flow decides, whatever the group says (network load balancer, 5).
fn algorithm(group: &v1::TargetGroup) -> &'static str {
    match defaults::is_http(group.protocol()) {
        true => defaults::algorithm(group).as_str_name(),
        false => "flow hash",
    }
}

fn tags(resource: &v1::Resource) -> String {
    match &resource.kind {
        Some(Body::LoadBalancer(message)) => pairs(&message.tags),
        Some(Body::TargetGroup(message)) => pairs(&message.tags),
        Some(Body::Certificate(message)) => pairs(&message.tags),
        Some(Body::Listener(message)) => pairs(&message.tags),
        Some(Body::Rule(message)) => pairs(&message.tags),
        Some(Body::Target(_)) | None => String::new(),
    }
}

fn source(certificate: &v1::Certificate) -> &'static str {
    if certificate.acme.is_some() {
        "acme"
    } else if certificate.self_signed.is_some() {
        "selfSigned"
    } else {
        "certificateChain"
    }
}

/// `HTTP /healthz` or `TCP`.
fn health_check(group: &v1::TargetGroup) -> String {
    let protocol = defaults::health_check_protocol(group);
    let check = defaults::health_check(group);
    if defaults::is_http(protocol) {
        format!("{} {}", protocol.as_str_name(), check.path)
    } else {
        protocol.as_str_name().to_owned()
    }
}

/// `pathPattern=/a/*,/b`: a condition in a few words.
pub(crate) fn condition(condition: &v1::Condition) -> String {
    use v1::condition::Kind as Tested;
    let shown = |name: &str, values: &[String], regexes: &[String]| {
        let regexes = regexes.iter().map(|regex| format!("/{regex}/"));
        let all: Vec<_> = values.iter().cloned().chain(regexes).collect();
        let rest = all.len().saturating_sub(MAX_VALUES);
        let more = if rest > 0 {
            format!(",+{rest}")
        } else {
            String::new()
        };
        format!("{name}={}{more}", all[..all.len() - rest].join(","))
    };
    let values = |name: &str, condition: &v1::ValuesCondition| {
        shown(name, &condition.values, &condition.regex_values)
    };
    match &condition.kind {
        Some(Tested::HostHeader(host)) => values("hostHeader", host),
        Some(Tested::PathPattern(path)) => values("pathPattern", path),
        Some(Tested::HttpRequestMethod(method)) => values("httpRequestMethod", method),
        Some(Tested::SourceIp(source)) => values("sourceIp", source),
        Some(Tested::HttpHeader(header)) => shown(
            &format!("httpHeader.{}", header.name),
            &header.values,
            &header.regex_values,
        ),
        Some(Tested::QueryString(query)) => {
            let pairs = query.values.iter().map(|pair| match pair.key.as_str() {
                "" => pair.value.clone(),
                key => format!("{key}={}", pair.value),
            });
            shown("queryString", &pairs.collect::<Vec<_>>(), &[])
        }
        None => String::new(),
    }
}

/// `forward catalog`, `redirect 301`, `fixedResponse 404`: what actions do in a few words.
pub(crate) fn actions(actions: &[v1::Action]) -> String {
    use v1::action::Kind as Done;
    let said = actions.iter().map(|action| match &action.kind {
        Some(Done::Forward(forward)) => format!("forward {}", groups(&forward.target_groups)),
        Some(Done::Redirect(redirect)) => format!("redirect {}", redirect.status_code),
        Some(Done::FixedResponse(response)) => format!("fixedResponse {}", response.status_code),
        None => String::new(),
    });
    said.collect::<Vec<_>>().join(", ")
}

/// `catalog`, or with weights `blue:3,green:1`.
fn groups(groups: &[v1::forward::WeightedTargetGroup]) -> String {
    if let [one] = groups {
        return one.name.clone();
    }
    let weighted = groups
        .iter()
        .map(|group| format!("{}:{}", group.name, defaults::group_weight(group)));
    weighted.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use inlet_proto::manifest;

    use super::*;
    use crate::output::style::Style;

    const MANIFEST: &str = r#"
kind: LoadBalancer
name: shop
type: APPLICATION
addresses: [127.0.0.1]
placement: {zone: a, tier: edge}
tags: {team: storefront}
---
kind: TargetGroup
name: catalog
protocol: HTTP
port: 9001
healthCheck: {path: /healthz}
targets: [{address: 127.0.0.1}, {address: 127.0.0.2, weight: 3}]
---
kind: Listener
name: http
loadBalancer: shop
protocol: HTTP
port: 80
defaultActions: [{fixedResponse: {statusCode: 404}}]
---
kind: Rule
name: second
listener: shop/http
priority: 20
conditions: [{hostHeader: {values: [a.b]}}, {queryString: {values: [{key: a, value: b}, {value: c}]}}]
actions: [{forward: {targetGroups: [{name: blue, weight: 3}, {name: green}]}}]
---
kind: Rule
name: zfirst
listener: shop/http
priority: 3
conditions: [{pathPattern: {values: [/a/*, /b]}}]
actions: [{forward: {targetGroups: [{name: catalog}]}}]
---
kind: Target
targetGroup: catalog
address: "::1"
port: 80
"#;

    #[test]
    fn every_kind_has_its_columns() {
        let documents = manifest::parse(MANIFEST, &mut |_| Err(String::new())).unwrap();
        let resources: Vec<_> = documents
            .into_iter()
            .map(|document| document.resource)
            .collect();
        let render = |kind, is_wide| {
            let own: Vec<_> = resources
                .iter()
                .filter(|one| one.kind_of() == Some(kind))
                .cloned()
                .collect();
            table(kind, &own, is_wide, SystemTime::UNIX_EPOCH).render(None, Style::new(false))
        };
        for (kind, expected) in [
            (
                Kind::LoadBalancer,
                "NAME   TYPE          ADDRESSES   PLACEMENT          AGE\nshop   APPLICATION   127.0.0.1   tier=edge,zone=a   -\n",
            ),
            (
                Kind::TargetGroup,
                "NAME      PROTOCOL   PORT   TARGETS   ALGORITHM     HEALTH CHECK    AGE\ncatalog   HTTP       9001         2   ROUND_ROBIN   HTTP /healthz   -\n",
            ),
            (
                Kind::Listener,
                "NAME        PROTOCOL   PORT   DEFAULT ACTION      AGE\nshop/http   HTTP         80   fixedResponse 404   -\n",
            ),
            (
                Kind::Rule,
                "NAME               PRIORITY   CONDITIONS                          ACTION                       AGE\n\
                 shop/http/zfirst          3   pathPattern=/a/*,/b           forward catalog              -\n\
                 shop/http/second         20   hostHeader=a.b queryString=a=b,c    forward blue:3,green:1       -\n",
            ),
            (
                Kind::Target,
                "NAME               WEIGHT   AGE\ncatalog/[::1]:80        1   -\n",
            ),
            (Kind::Certificate, "NAME   SOURCE   AGE\n"),
        ] {
            let squeezed = |text: &str| {
                text.lines()
                    .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                    .collect::<Vec<_>>()
            };
            assert_eq!(squeezed(&render(kind, false)), squeezed(expected));
        }
        assert!(render(Kind::LoadBalancer, true).contains("team=storefront"));
    }

    #[test]
    fn many_values_are_counted() {
        let values = ["/a", "/b", "/c", "/d"].map(str::to_owned).to_vec();
        let regex_values = vec!["^/e$".to_owned()];
        let path = v1::ValuesCondition {
            values,
            regex_values,
        };
        let tested = v1::Condition {
            kind: Some(v1::condition::Kind::PathPattern(path)),
        };
        assert_eq!(condition(&tested), "pathPattern=/a,/b,/c,+2");
    }
}
