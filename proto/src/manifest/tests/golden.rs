//! Every kind of mistake, with its line and exact text.

use super::*;

/// A good listener, to which a case adds its mistake.
const LISTENER: &str = "kind: Listener\nname: http\nloadBalancer: shop\nprotocol: HTTP\nport: 80\n\
                        defaultActions: [{fixedResponse: {statusCode: 404}}]\n";
const GROUP: &str = "kind: TargetGroup\nname: web\nprotocol: HTTP\nport: 80\n";

fn listener(from: &str, to: &str) -> String {
    assert!(LISTENER.contains(from), "{from}");
    LISTENER.replace(from, to)
}

#[test]
fn documents() {
    let kinds = "LoadBalancer, TargetGroup, Target, Certificate, Listener, Rule";
    for (text, expected) in [
        (
            "just text",
            "1: expected a mapping with a 'kind', found the text 'just text'".to_owned(),
        ),
        (
            "\n- a\n- b\n",
            "2: expected a mapping with a 'kind', found a list: separate documents with '---', or write \
             {kind: List, items: [...]}"
                .to_owned(),
        ),
        (
            "7",
            "1: expected a mapping with a 'kind', found the number 7".to_owned(),
        ),
        (
            "---\nname: x\n",
            format!("2: 'kind' is missing: one of {kinds}"),
        ),
        (
            "kind: 7\n",
            "1: kind: expected the name of a kind, found the number 7".to_owned(),
        ),
        (
            "name: x\nkind: Rul\n",
            "2: kind: unknown kind 'Rul': did you mean 'Rule'?".to_owned(),
        ),
        (
            "kind: load-balancer\n",
            "1: kind: unknown kind 'load-balancer': did you mean 'LoadBalancer'?".to_owned(),
        ),
        (
            "kind: Pod\n",
            format!("1: kind: unknown kind 'Pod': known are {kinds}"),
        ),
        (
            "kind: WebAcl\nname: x\n",
            "1: kind: kind WebAcl is not supported yet".to_owned(),
        ),
        (
            "kind: List\nitems: 7\n",
            "2: items: expected a list of documents, found the number 7".to_owned(),
        ),
        (
            "kind: List\nitem: []\n",
            "2: item: unknown field 'item': did you mean 'items'?".to_owned(),
        ),
        (
            "kind: Rule\nname: [\n",
            "2: this is not YAML: while parsing a node, did not find expected node content"
                .to_owned(),
        ),
        (
            "{\"kind\": \"Rule\",\n \"name\" 7}",
            "2: this is not JSON: expected ':', found '7'".to_owned(),
        ),
        (
            "kind: !mine Rule\n",
            "1: tags such as !mine are not understood".to_owned(),
        ),
        ("? [a]\n: b\n", "1: a key must be a text".to_owned()),
    ] {
        assert_eq!(errors(text), [expected], "{text}");
    }
}

#[test]
fn fields() {
    let known = "known are name, tags, loadBalancer, protocol, port, certificates, sslPolicy, alpnPolicy, \
                 defaultActions, tcpIdleTimeout";
    for (text, expected) in [
        (
            listener("port:", "prot:"),
            vec!["5: Listener shop/http: prot: unknown field 'prot': did you mean 'port'?"],
        ),
        (
            listener("loadBalancer:", "load_balancer:"),
            vec![
                "3: Listener http: load_balancer: unknown field 'load_balancer': did you mean 'loadBalancer'?",
            ],
        ),
        (
            listener("port: 80", "port: 80\nzzz: 1"),
            vec![&*format!(
                "6: Listener shop/http: zzz: unknown field 'zzz': {known}"
            )],
        ),
        (
            listener("port: 80", "port: 80\nport: 81"),
            vec!["6: Listener shop/http: port: 'port' is given twice, first on line 5"],
        ),
        (
            listener("statusCode: 404", "statusCode: 404}, redirect: {port: '1'"),
            vec![
                "6: Listener shop/http: defaultActions[0].redirect: \
                 only one of 'fixedResponse' (line 6) and 'redirect' can be given",
            ],
        ),
        (
            listener(
                "[{fixedResponse: {statusCode: 404}}]",
                "{fixedResponse: {statusCode: 404}}",
            ),
            vec!["6: Listener shop/http: defaultActions: expected a list, found a mapping"],
        ),
        (
            listener("{statusCode: 404}", "404"),
            vec![
                "6: Listener shop/http: defaultActions[0].fixedResponse: expected a mapping, found the number 404",
            ],
        ),
        (
            listener("port: 80", "port: 80\ntags: [a]"),
            vec!["6: Listener shop/http: tags: expected a mapping, found a list"],
        ),
        (
            listener("port: 80", "port: 80\ntags:\n  a: b\n  a: c"),
            vec!["8: Listener shop/http: tags.a: 'a' is given twice, first on line 7"],
        ),
        (
            listener("port: 80", "port: 80\ncertificates:"),
            vec![
                "6: Listener shop/http: certificates: nothing is given: write [] for none, or leave the field out",
            ],
        ),
    ] {
        assert_eq!(errors(&text), expected, "{text}");
    }
}

/// A line of a target group, and what is said of it.
const VALUES: &[(&str, &str)] = &[
    (
        "port: eighty",
        "port: expected a whole number, found the text 'eighty'",
    ),
    ("port: -1", "port: -1 is below what is allowed here"),
    (
        "port: 70000000000",
        "port: 70000000000 is above what is allowed here",
    ),
    (
        "port: 8.5",
        "port: expected a whole number, found the number 8.5",
    ),
    (
        "port: 080",
        "port: expected a whole number, found the number 080",
    ),
    (
        "port: 0x50",
        "port: expected a whole number, found the number 0x50",
    ),
    ("port: [80]", "port: expected a whole number, found a list"),
    (
        "port: 70000",
        "port: 70000 is out of range, 1 to 65535 are allowed",
    ),
    (
        "tags: {version: 1}",
        "tags.version: expected a text, found the number 1: quote it, \"1\"",
    ),
    (
        "tags: {debug: true}",
        "tags.debug: expected a text, found true: quote it, \"true\"",
    ),
    (
        "tags: {debug: }",
        "tags.debug: expected a text, found nothing: write \"\" for an empty one",
    ),
    (
        "tags: {debug: {}}",
        "tags.debug: expected a text, found a mapping",
    ),
    (
        "algorithm: ROUND_ROBBIN",
        "algorithm: unknown value 'ROUND_ROBBIN': did you mean 'ROUND_ROBIN'? \
             Known are ROUND_ROBIN, LEAST_OUTSTANDING_REQUESTS, WEIGHTED_RANDOM",
    ),
    (
        "algorithm: MAGLEV",
        "algorithm: unknown value 'MAGLEV': known are ROUND_ROBIN, LEAST_OUTSTANDING_REQUESTS, WEIGHTED_RANDOM",
    ),
    (
        "algorithm: 1",
        "algorithm: expected one of ROUND_ROBIN, LEAST_OUTSTANDING_REQUESTS, WEIGHTED_RANDOM, found the number 1",
    ),
    (
        "algorithm: ALGORITHM_UNSPECIFIED",
        "algorithm: unknown value 'ALGORITHM_UNSPECIFIED': \
             known are ROUND_ROBIN, LEAST_OUTSTANDING_REQUESTS, WEIGHTED_RANDOM",
    ),
    (
        "connectionTermination: yes",
        "connectionTermination: expected true or false, found the text 'yes'",
    ),
    (
        "deregistrationDelay: 5x",
        "deregistrationDelay: '5x' is not a duration: write for example 60s, 5m, 1h30m, 500ms or 1.5s",
    ),
    (
        "deregistrationDelay: 60",
        "deregistrationDelay: 60 has no unit: write for example 60s",
    ),
    (
        "deregistrationDelay: -5s",
        "deregistrationDelay: -5s is negative: a duration is not",
    ),
    (
        "deregistrationDelay: {}",
        "deregistrationDelay: expected a duration such as 60s, found a mapping",
    ),
    (
        "deregistrationDelay: 2h",
        "deregistrationDelay: 7200s is out of range, 0s to 3600s are allowed",
    ),
    (
        "nameFile: page.html",
        "nameFile: only one of 'name' (line 2) and 'nameFile' can be given",
    ),
];

#[test]
fn values() {
    for (line, expected) in VALUES {
        let text = match line.strip_prefix("port:") {
            Some(_) => GROUP.replace("port: 80", line),
            None => format!("{GROUP}{line}\n"),
        };
        let at = if line.starts_with("port:") { 4 } else { 5 };
        assert_eq!(
            errors(&text),
            [format!("{at}: TargetGroup web: {expected}")],
            "{line}"
        );
    }
}

#[test]
fn files() {
    for (line, expected) in [
        (
            "bodyFile: gone.html",
            "bodyFile: cannot read 'gone.html': No such file or directory",
        ),
        (
            "bodyFile: 7",
            "bodyFile: expected the name of a file, found the number 7",
        ),
        (
            "statusCodeFile: x",
            "statusCodeFile: unknown field 'statusCodeFile': did you mean 'statusCode'?",
        ),
        (
            "body: x, bodyFile: page.html",
            "bodyFile: only one of 'body' (line 6) and 'bodyFile' can be given",
        ),
    ] {
        let text = listener("statusCode: 404", &format!("statusCode: 404, {line}"));
        let field = "defaultActions[0].fixedResponse";
        assert_eq!(
            errors(&text),
            [format!("6: Listener shop/http: {field}.{expected}")],
            "{line}"
        );
    }
}

/// Rules of the shop sample, as in the interfaces.
#[test]
fn violations_have_the_line_of_their_field() {
    let text = "kind: Rule\nname: catalog\nlistener: shop/https\npriority: 50001\nconditions:\n- pathPattern:\n    \
                values:\n    - /ok\n    - /not ok\nactions:\n- forward:\n    targetGroups:\n    - weight: 1000\n";
    let path = "letters, digits, _ - . $ / ~ \" ' @ : + & and the wildcards '*' and '?'";
    assert_eq!(
        errors(text),
        [
            "4: Rule shop/https/catalog: priority: 50001 is out of range, 1 to 50000 are allowed"
                .to_owned(),
            format!(
                "9: Rule shop/https/catalog: conditions[0].pathPattern.values[1]: \
                 ' ' is not allowed in '/not ok', only {path}"
            ),
            "13: Rule shop/https/catalog: actions[0].forward.targetGroups[0].name: \
             a TargetGroup is required: one name"
                .to_owned(),
            "13: Rule shop/https/catalog: actions[0].forward.targetGroups[0].weight: \
             1000 is out of range, 0 to 999 are allowed"
                .to_owned(),
        ]
    );
}

#[test]
fn a_number_in_a_query_condition_wants_quotes() {
    let text = "kind: Rule\nname: a\nlistener: shop/http\npriority: 1\nconditions:\n\
                - queryString: {values: [{key: version, value: 1}]}\nactions: [{forward: {targetGroups: [{name: a}]}}]\n";
    let field = "conditions[0].queryString.values[0].value";
    let expected = format!(
        "6: Rule shop/http/a: {field}: expected a text, found the number 1: quote it, \"1\""
    );
    assert_eq!(errors(text), [expected]);
}

#[test]
fn mistakes_of_all_documents_are_told_at_once_in_the_order_of_lines() {
    let text = "kind: Listener\nname: [\n---\nkind: Lisener\n---\nkind: Target\naddress: x\nport: y\ntargetGroup: g\n";
    assert_eq!(
        errors(text),
        [
            "2: this is not YAML: while parsing a node, did not find expected node content",
            "4: kind: unknown kind 'Lisener': did you mean 'Listener'?",
            "7: Target g/x: address: 'x' is not an IP address such as 127.0.0.1 or ::1",
            "8: Target g/x: port: expected a whole number, found the text 'y'",
        ]
    );
}
