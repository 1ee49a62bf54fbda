//! The documents that tests apply, short enough to read within a test.

/// Joins documents to one manifest.
pub fn documents(documents: &[impl AsRef<str>]) -> String {
    documents
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join("---\n")
}

/// A load balancer for HTTP on 127.0.0.1 of every agent.
pub fn application(name: &str) -> String {
    format!("kind: LoadBalancer\nname: {name}\ntype: APPLICATION\naddresses: [127.0.0.1]\n")
}

/// A load balancer for TCP on 127.0.0.1 of every agent.
pub fn network(name: &str) -> String {
    format!("kind: LoadBalancer\nname: {name}\ntype: NETWORK\naddresses: [127.0.0.1]\n")
}

/// A listener addressed as `shop/http` with one default action.
///
/// Panics if the name has no parent.
pub fn listener(name: &str, protocol: &str, port: u16, action: &str) -> String {
    let (parent, name) = name.split_once('/').expect("loadBalancer/listener");
    format!(
        "kind: Listener\nname: {name}\nloadBalancer: {parent}\nprotocol: {protocol}\nport: {port}\ndefaultActions: [{action}]\n"
    )
}

/// A rule addressed as `shop/http/catalog`, with its conditions as in a manifest: `{pathPattern: {values: ["/a"]}}`.
///
/// Panics if the name has no parent.
pub fn rule(name: &str, priority: u32, conditions: &str, action: &str) -> String {
    let (parent, name) = name.rsplit_once('/').expect("loadBalancer/listener/rule");
    format!(
        "kind: Rule\nname: {name}\nlistener: {parent}\npriority: {priority}\nconditions: [{conditions}]\nactions: [{action}]\n"
    )
}

/// A group of HTTP targets on 127.0.0.1 that is checked often, at `/healthz`.
pub fn group(name: &str, ports: &[u16]) -> String {
    let check = "healthCheck: {path: /healthz, interval: 5s, timeout: 2s, healthyThreshold: 2}";
    format!(
        "kind: TargetGroup\nname: {name}\nprotocol: HTTP\nport: {}\n{check}\n{}",
        first(ports),
        targets(ports)
    )
}

/// A group of TCP targets on 127.0.0.1 that is checked often.
pub fn tcp_group(name: &str, ports: &[u16]) -> String {
    let check = "healthCheck: {interval: 5s, timeout: 2s, healthyThreshold: 2}";
    format!(
        "kind: TargetGroup\nname: {name}\nprotocol: TCP\nport: {}\n{check}\n{}",
        first(ports),
        targets(ports)
    )
}

/// The action that forwards to one group.
pub fn forward(group: &str) -> String {
    format!("{{forward: {{targetGroups: [{{name: {group}}}]}}}}")
}

/// The action that answers with a status and text.
pub fn fixed(status: u16, body: &str) -> String {
    format!("{{fixedResponse: {{statusCode: {status}, contentType: text/plain, body: {body}}}}}")
}

/// A whole shop: load balancer `shop`, listener `shop/http`, everything to group `catalog`.
pub fn shop(port: u16, targets: &[u16]) -> String {
    documents(&[
        application("shop"),
        group("catalog", targets),
        listener("shop/http", "HTTP", port, &forward("catalog")),
    ])
}

/// A whole wire: load balancer `wire`, listener `wire/tcp`, everything to group `echo`.
pub fn wire(port: u16, targets: &[u16]) -> String {
    documents(&[
        network("wire"),
        tcp_group("echo", targets),
        listener("wire/tcp", "TCP", port, &forward("echo")),
    ])
}

fn first(ports: &[u16]) -> u16 {
    ports.first().copied().unwrap_or(9)
}

fn targets(ports: &[u16]) -> String {
    let list: Vec<String> = ports
        .iter()
        .map(|port| format!("{{address: 127.0.0.1, port: {port}}}"))
        .collect();
    format!("targets: [{}]\n", list.join(", "))
}
