//! What reading and printing promise, on whole files.

mod clumsy;
mod golden;
mod robust;
mod round_trip;

use super::*;

const APPLICATION: &str = include_str!("testdata/application.yaml");
const NETWORK: &str = include_str!("testdata/network.yaml");
const API: &str = include_str!("testdata/api.yaml");

/// Reads with two files at hand.
fn read(text: &str) -> Result<Vec<Document>, Vec<ManifestError>> {
    parse(text, &mut |name| match name {
        "shop.crt" => Ok("CERTIFICATE\n".to_owned()),
        "page.html" => Ok("<p>\n".to_owned()),
        _ => Err("No such file or directory".to_owned()),
    })
}

/// The errors as `lbctl` prints them, without the file.
fn errors(text: &str) -> Vec<String> {
    let errors = read(text).expect_err("the manifest has mistakes");
    let show = |error: ManifestError| {
        let parts = [
            error.line.to_string(),
            error.resource,
            error.field,
            error.message,
        ];
        let given: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        given.join(": ")
    };
    errors.into_iter().map(show).collect()
}

fn resources(text: &str) -> Vec<v1::Resource> {
    let documents = read(text).expect("the manifest is good");
    documents
        .into_iter()
        .map(|document| document.resource)
        .collect()
}

#[test]
fn the_application_sample_needs_only_what_comes_later() {
    let text = APPLICATION.replace("shop.key", "shop.crt");
    assert_eq!(
        errors(&text),
        [
            "16: Certificate shop: kind Certificate is not supported yet",
            "38: TargetGroup catalog: stickiness: stickiness is not supported yet",
            "62: Listener shop/https: protocol: a listener with the protocol HTTPS is not supported yet",
            "64: Listener shop/https: certificates: a list of certificates is not supported yet",
            "65: Listener shop/https: sslPolicy: a TLS policy is not supported yet",
            "81: Rule shop/https/catalog: actions[0].forward.stickiness: \
             the stickiness of a forward action is not supported yet",
            "93: Rule shop/https/legacy: transforms[0]: a transform is not supported yet",
        ]
    );
}

#[test]
fn the_network_sample_needs_only_what_comes_later() {
    assert_eq!(
        errors(NETWORK),
        [
            "13: TargetGroup postgres: proxyProtocol: the PROXY protocol V2 is not supported yet",
            "15: TargetGroup postgres: stickiness: stickiness is not supported yet",
            "30: TargetGroup dns: protocol: a target group with the protocol UDP is not supported yet",
            "38: Listener edge/dns: protocol: a listener with the protocol UDP is not supported yet",
            "52: Listener edge/mqtt: protocol: a listener with the protocol TLS is not supported yet",
            "54: Listener edge/mqtt: certificates: a list of certificates is not supported yet",
        ]
    );
}

#[test]
fn the_kinds_of_the_api_sample_are_known_and_not_served_yet() {
    let errors = errors(API);
    assert_eq!(
        errors[0],
        "10: Rule shop/https/orders-api: actions[0].api: 'api' is not supported yet"
    );
    assert_eq!(errors[1], "12: kind: kind Api is not supported yet");
    assert!(
        errors
            .iter()
            .all(|error| error.ends_with("is not supported yet")),
        "{errors:#?}"
    );
    assert_eq!(errors.len(), API.matches("\nkind: ").count());
}

#[test]
fn documents_know_their_lines_and_whether_they_give_all_targets() {
    let text = "# nothing yet\n---\n\n---\nkind: TargetGroup\nname: a\nprotocol: HTTP\nport: 1\ntargets: []\n\
                --- # again\nkind: TargetGroup\nname: b\nprotocol: HTTP\nport: 1\n...\n---\n# nothing more\n";
    let documents = read(text).unwrap();
    let found: Vec<_> = documents
        .iter()
        .map(|document| (document.line, document.all_targets))
        .collect();
    assert_eq!(found, [(5, true), (11, false)]);
    assert!(read("").unwrap().is_empty());
    assert!(read("\u{feff}# only a comment\r\n").unwrap().is_empty());
}

#[test]
fn json_reads_as_yaml_does() {
    let yaml = "kind: Listener\nname: http\nloadBalancer: shop\nprotocol: HTTP\nport: 8080\ntags: {a: é😀, b: 'x/y'}\n\
                defaultActions:\n- fixedResponse: {statusCode: 200, body: \"a\\tb\\u20ac\"}\n";
    let json = "{\n\t\"kind\": \"Listener\", \"name\": \"http\", \"loadBalancer\": \"shop\",\n\t\"protocol\": \"HTTP\",\
                \r\n\t\"port\": \"8080\", \"tags\": {\"a\": \"\\u00e9\\ud83d\\ude00\", \"b\": \"x\\/y\"},\n\
                \t\"defaultActions\": [ {\"fixedResponse\": {\"statusCode\": 200, \"body\": \"a\\tb\\u20AC\"}} ]\n}\n";
    assert_eq!(parse_unchecked(yaml), parse_unchecked(json));
}

#[test]
fn several_json_documents_may_follow_each_other() {
    let group = |name: &str| {
        format!("{{\"kind\":\"TargetGroup\",\"name\":\"{name}\",\"protocol\":\"TCP\",\"port\":1}}")
    };
    for between in ["\n", "", "\n---\n", "\n--- \n\n"] {
        let text = format!("{}{between}{}\n", group("a"), group("b"));
        assert_eq!(resources(&text).len(), 2, "{between:?}");
    }
}

#[test]
fn yaml_in_flow_style_may_look_like_json() {
    for text in [
        "{\"kind\": TargetGroup, name: a, protocol: TCP, port: 1}",
        "--- {kind: TargetGroup, name: a,\r\n  protocol: TCP, port: 1,}\r\n",
    ] {
        assert_eq!(resources(text).len(), 1, "{text}");
    }
}

#[test]
fn a_list_holds_documents() {
    let text = "kind: List\nitems:\n- kind: TargetGroup\n  name: a\n  protocol: TCP\n  port: 1\n\
                - kind: Target\n  targetGroup: a\n  address: 127.0.0.1\n";
    let documents = read(text).unwrap();
    assert_eq!(
        documents
            .iter()
            .map(|document| document.line)
            .collect::<Vec<_>>(),
        [3, 7]
    );
    let json = serde_json::json!({
        "kind": "List",
        "items": documents.iter().map(|document| to_json(&document.resource, true)).collect::<Vec<_>>(),
    });
    assert_eq!(resources(&json.to_string()), resources(text));
}

#[test]
fn aliases_repeat_and_what_the_server_keeps_is_ignored() {
    let text = "kind: TargetGroup\nname: a\nuid: whatever\nrevision: 7\ncreateTime: yesterday\nprotocol: HTTP\nport: 1\n\
                tags: &tags {team: x}\nhealthCheck: {interval: 1m30s}\n\
                targets:\n- &one {address: '::1', name: x, weight: 0, revision: '12'}\n- address: 127.0.0.1\n";
    let [resource] = resources(text).try_into().unwrap();
    let Some(v1::resource::Kind::TargetGroup(group)) = resource.kind else {
        panic!("a group")
    };
    assert_eq!(
        (group.uid.as_str(), group.revision, group.create_time),
        ("", 0, None)
    );
    assert_eq!(
        (group.targets[0].name.as_str(), group.targets[0].weight),
        ("", Some(0))
    );
    assert_eq!(group.health_check.unwrap().interval.unwrap().seconds, 90);
    let text =
        "kind: LoadBalancer\nname: a\ntype: NETWORK\ntags: &labels {a: b}\nplacement: *labels\n";
    let [resource] = resources(text).try_into().unwrap();
    let Some(v1::resource::Kind::LoadBalancer(balancer)) = resource.kind else {
        panic!("a load balancer")
    };
    assert_eq!(balancer.placement, balancer.tags);
}

#[test]
fn files_stand_for_fields() {
    let text = "kind: Listener\nname: a\nloadBalancer: b\nprotocol: HTTP\nport: 1\n\
                defaultActions: [{fixedResponse: {statusCode: 503, bodyFile: page.html}}]\n";
    let [resource] = resources(text).try_into().unwrap();
    let yaml = to_yaml(&resource, false);
    assert!(yaml.contains("body: |\n        <p>\n"), "{yaml}");
}

/// The messages, whatever the check says of them.
fn parse_unchecked(text: &str) -> Vec<v1::Resource> {
    let (nodes, mistakes) = yaml::read(text);
    assert_eq!(mistakes, []);
    let message = |node: &Node| {
        let tree::Value::Mapping(entries) = &node.value else {
            panic!("a mapping")
        };
        let mut read_file = |_: &str| Err(String::new());
        let mut reader = Reader::new(&mut read_file);
        let kind = entries.iter().find(|entry| entry.key == "kind").unwrap();
        let tree::Value::Text(name) = &kind.node.value else {
            panic!("a kind")
        };
        let fields: Vec<_> = entries.iter().filter(|entry| entry.key != "kind").collect();
        let kind = Kind::from_name(name).unwrap();
        let resource = envelope(kind, |descriptor| reader.message("", descriptor, &fields));
        assert_eq!(reader.mistakes, []);
        resource
    };
    nodes.iter().map(message).collect()
}
