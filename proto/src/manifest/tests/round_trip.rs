//! `parse(to_yaml(x)) == x`, and what is printed.

use super::*;

/// Small seeded generator (splitmix64), so that a failure repeats.
pub(super) struct Seeded(pub(super) u64);

impl Seeded {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn text(&mut self) -> String {
        const CHARS: [&str; 30] = [
            "a", "b", "no", "1", "0", ".", "-", ":", ": ", " ", "#", " #", "\n", "\t", "\r", "'",
            "\"", "\\", "*", "&", "!", "%", "{", "]", ",", "é", "😀", "\u{85}", "\u{2028}",
            "\u{0}",
        ];
        (0..self.below(8))
            .map(|_| CHARS[self.below(CHARS.len())])
            .collect()
    }
}

fn round_trips(resource: &v1::Resource) {
    for kept in [false, true] {
        let yaml = to_yaml(resource, kept);
        assert_eq!(
            parse_unchecked(&yaml),
            std::slice::from_ref(resource),
            "{yaml}"
        );
        let json = to_json(resource, kept).to_string();
        assert_eq!(
            parse_unchecked(&json),
            std::slice::from_ref(resource),
            "{json}"
        );
    }
}

#[test]
fn the_samples_round_trip() {
    let text = APPLICATION
        .replace("certificateChainFile", "certificateChain")
        .replace("privateKeyFile: shop.key", "");
    for resource in parse_unchecked(&text)
        .iter()
        .chain(&parse_unchecked(NETWORK))
    {
        round_trips(resource);
    }
}

#[test]
fn any_text_round_trips() {
    let mut seeded = Seeded(7);
    let words = [
        "",
        "true",
        "No",
        "null",
        "~",
        "1",
        "1.5",
        "1e3",
        "0x1f",
        "60s",
        "127.0.0.1",
        "2026-01-31",
        "=",
        "<<",
    ];
    for text in words
        .map(str::to_owned)
        .into_iter()
        .chain((0..3000).map(|_| seeded.text()))
    {
        let response = v1::FixedResponse {
            status_code: 200,
            body: text.clone(),
            ..Default::default()
        };
        let action = v1::Action {
            kind: Some(v1::action::Kind::FixedResponse(response)),
        };
        let listener = v1::Listener {
            tags: [(text.clone(), text.clone())].into(),
            certificates: vec![text.clone(), text.clone()],
            default_actions: vec![action],
            ..Default::default()
        };
        round_trips(&listener.into());
    }
}

#[test]
fn a_list_is_written_an_element_at_a_time() {
    let agents = serde_json::json!([
        {"name": "edge-1", "labels": {"zone": "a"}},
        {"name": "edge-2", "resources": [1, 2]},
    ]);
    assert_eq!(
        json_to_yaml(&agents),
        "- name: edge-1\n  labels:\n    zone: a\n- name: edge-2\n  resources:\n    - 1\n    - 2\n"
    );
    assert_eq!(json_to_yaml(&serde_json::json!([])), "[]\n");
}

/// `INLET_GOLDEN=write` rewrites the expected text.
#[test]
fn yaml_is_written_for_people() {
    let text = APPLICATION.replace(
        "certificateChainFile: shop.crt",
        "certificateChain: \"A\\nB\\n\"",
    );
    let text = text.replace("privateKeyFile: shop.key", "privateKey: secret");
    let printed: Vec<_> = parse_unchecked(&text)
        .iter()
        .map(|resource| to_yaml(resource, false))
        .collect();
    let printed = printed.join("---\n");
    if std::env::var_os("INLET_GOLDEN").is_some() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/manifest/testdata/printed.yaml"
        );
        std::fs::write(path, &printed).unwrap();
    }
    assert_eq!(printed, include_str!("../testdata/printed.yaml"));
}

#[test]
fn secrets_are_never_printed_and_kept_fields_only_when_asked() {
    let certificate = v1::Certificate {
        name: "shop".to_owned(),
        private_key: "secret".to_owned(),
        uid: "0195".to_owned(),
        revision: u64::MAX,
        create_time: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: 0,
        }),
        ..Default::default()
    };
    let resource = certificate.into();
    assert_eq!(to_yaml(&resource, false), "kind: Certificate\nname: shop\n");
    assert_eq!(
        to_yaml(&resource, true),
        "kind: Certificate\nname: shop\nuid: \"0195\"\nrevision: 18446744073709551615\n\
         createTime: \"1970-01-01T00:00:00Z\"\n"
    );
}

#[test]
fn targets_in_a_group_leave_out_what_the_group_says() {
    let target = v1::Target {
        name: "127.0.0.1:80".to_owned(),
        target_group: "web".to_owned(),
        address: "127.0.0.1".to_owned(),
        port: 80,
        weight: Some(0),
        ..Default::default()
    };
    let group = v1::TargetGroup {
        name: "web".to_owned(),
        targets: vec![target.clone()],
        ..Default::default()
    };
    assert_eq!(
        to_yaml(&group.into(), false),
        "kind: TargetGroup\nname: web\ntargets:\n  - address: 127.0.0.1\n    port: 80\n    weight: 0\n"
    );
    assert_eq!(
        to_yaml(&target.into(), false),
        "kind: Target\ntargetGroup: web\naddress: 127.0.0.1\nport: 80\nweight: 0\n"
    );
}

#[test]
fn an_empty_envelope_prints_nothing() {
    assert_eq!(
        to_json(&v1::Resource::default(), true),
        serde_json::Value::Null
    );
}
