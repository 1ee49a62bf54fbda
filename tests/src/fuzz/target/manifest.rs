//! Manifests, YAML and JSON: never a panic; every mistake has a place and words; and what is read can be printed and read
//! again, in either form, as the same.

use inlet_proto::manifest::{Document, parse, read_value, to_json, to_yaml};

use super::class;
use crate::fuzz::{Outcome, Target, feature};

pub(super) static TARGET: Target = Target {
    name: "manifest",
    dictionary: &[
        b"\n",
        b"\n---\n",
        b"\n...\n",
        b": ",
        b"- ",
        b"  ",
        b"\t",
        b"#",
        b"'",
        b"\"",
        b"|\n",
        b">-\n",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"&a ",
        b"*a",
        b"<<: *a",
        b"!!str ",
        b"!!binary ",
        b"%YAML 1.2\n",
        b"? ",
        b"~",
        b"null",
        b"true",
        b"No",
        b"0x1f",
        b"1e3",
        b".inf",
        b".nan",
        b"-1",
        b"\\u0000",
        b"\\ud800",
        b"\xef\xbb\xbf",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\xff",
        b"kind: ",
        b"kind: LoadBalancer\n",
        b"kind: Listener\n",
        b"kind: Rule\n",
        b"kind: TargetGroup\n",
        b"kind: Target\n",
        b"kind: Certificate\n",
        b"kind: List\nitems:\n",
        b"name: a\n",
        b"type: APPLICATION\n",
        b"type: NETWORK\n",
        b"loadBalancer: a\n",
        b"listener: a/b\n",
        b"protocol: HTTP\n",
        b"protocol: TCP\n",
        b"port: 80\n",
        b"priority: 1\n",
        b"conditions: ",
        b"actions: ",
        b"defaultActions: ",
        b"forward: ",
        b"targetGroups: [{name: a}]",
        b"fixedResponse: {statusCode: 200}",
        b"redirect: {statusCode: 301}",
        b"pathPattern: {values: [\"/*\"]}",
        b"hostHeader: {values: [\"*.a\"]}",
        b"httpHeader: {name: a, values: [b]}",
        b"queryString: {values: [{value: a}]}",
        b"sourceIp: {values: [\"::/0\"]}",
        b"regexValues",
        b"healthCheck: ",
        b"interval: 5s",
        b"1.5s",
        b"1h",
        b"-1s",
        b"99999999999h",
        b"0.0000000001s",
        b"matcher: \"200-299\"",
        b"targets: [{address: 127.0.0.1}]",
        b"weight: 1",
        b"placement: {a: b}",
        b"tags: {a: b}",
        b"uid: a",
        b"revision: 1",
        b"createTime: \"1970-01-01T00:00:00Z\"",
        b"#{host}",
        b"#{path",
        b"\"kind\":\"Rule\",",
        b"{\"kind\": \"Target\", \"targetGroup\": \"a\", \"address\": \"::1\"}",
    ],
    bytes_max: 16_000,
    own_mutation: None,
    run,
};

fn run(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    // YAML ends a line with a lone CR, too.
    let lines = 1 + text.matches(['\r', '\n']).count();
    // Whatever it says must not matter to the manifests that follow.
    let value = read_value(&text).map_err(|error| assert!(error.line <= lines, "{error:?}"));
    match read(&text) {
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            assert!(errors.is_sorted_by_key(|error| error.line), "{errors:?}");
            for error in &errors {
                assert!(
                    !error.message.is_empty() && error.line <= lines,
                    "{error:?}"
                );
                assert!(
                    error.message.len() < 4096,
                    "the words about a mistake have no bound"
                );
            }
            Outcome::refused(class(&errors[0].message))
        }
        Ok(documents) => {
            for document in &documents {
                comes_back(document);
            }
            let fields = documents.iter().flat_map(fields);
            let count = documents.len().min(8);
            Outcome::accepted(fields.chain([feature((count, value.is_ok()))]))
        }
    }
}

fn read(text: &str) -> Result<Vec<Document>, Vec<inlet_proto::manifest::ManifestError>> {
    parse(text, &mut |name| match name.len() {
        0..4 => Err("it is not there".to_owned()),
        _ => Ok(format!("content of {name}")),
    })
}

/// Printed in either form it is read as the same.
fn comes_back(document: &Document) {
    let resource = &document.resource;
    for kept in [false, true] {
        let json = to_json(resource, kept).to_string();
        for printed in [to_yaml(resource, kept), json] {
            match read(&printed).as_deref() {
                Ok([again]) => {
                    assert_eq!(again.resource, *resource, "{printed}");
                    // A set of targets that is given and empty is not told from one that is not given.
                    assert!(document.all_targets || !again.all_targets, "{printed}");
                }
                other => panic!("{other:?}: {printed}"),
            }
        }
    }
}

/// Kind and field, two levels deep.
fn fields(document: &Document) -> Vec<u64> {
    let json = to_json(&document.resource, false);
    let kind = json["kind"].to_string();
    let mut features = Vec::new();
    for (name, value) in json.as_object().into_iter().flatten() {
        features.push(feature((&kind, name)));
        if matches!(name.as_str(), "tags" | "placement") {
            continue;
        }
        let items = value
            .as_array()
            .map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for (inner, _) in items.iter().filter_map(|item| item.as_object()).flatten() {
            features.push(feature((&kind, name, inner, items.len().min(3))));
        }
    }
    features
}
