//! Files as people, editors and other programs really make them.

use super::*;

const GROUP: &str = "kind: TargetGroup\nname: web\nprotocol: HTTP\nport: 80\n";

#[test]
fn a_mark_of_byte_order_may_begin_any_document() {
    let other = GROUP.replace("web", "other");
    for text in [
        format!("\u{feff}{GROUP}---\n{other}"),
        format!("{GROUP}\u{feff}---\n{other}"),
        format!("{GROUP}---\n\u{feff}{other}"),
        format!("\u{feff}{GROUP}---\n\u{feff}{other}").replace('\n', "\r\n"),
    ] {
        assert_eq!(resources(&text).len(), 2, "{text:?}");
    }
}

#[test]
fn control_characters_do_not_hide_what_follows() {
    for (text, expected) in [
        (
            format!("{GROUP}\0{GROUP}"),
            "5: this is not YAML: the character '\\0' cannot stand in it; in double quotes it is written as an escape",
        ),
        (
            format!("{GROUP}---\nname: \u{1b}[0m\n"),
            "6: this is not YAML: the character '\\u{1b}' cannot stand in it; in double quotes it is written as an escape",
        ),
    ] {
        assert_eq!(errors(&text), [expected], "{text:?}");
    }
    let escaped = format!("{GROUP}tags: {{a: \"b\\0\"}}\n");
    assert_eq!(errors(&escaped).len(), 1, "the check's, not the reader's");
}

#[test]
fn merge_keys_are_told_apart_from_fields() {
    let text = format!("tags: &t {{a: b}}\n{GROUP}healthCheck:\n  <<: *t\n");
    let expected = "7: merge keys ('<<') are not understood: write the fields out, or an alias for the whole value";
    assert_eq!(errors(&text), [expected]);
    let quoted = format!("{GROUP}tags: {{'<<': b}}\n");
    assert!(
        errors(&quoted)[0].contains("tags.<<: the key has '<'"),
        "only the check refuses it"
    );
}

#[test]
fn an_item_that_cannot_be_read_does_not_shift_the_others() {
    let text = format!(
        "{GROUP}targets:\n- 7\n- {{address: x}}\n- {{address: 10.0.0.1}}\n- {{address: y}}\n"
    );
    assert_eq!(
        errors(&text),
        [
            "6: TargetGroup web: targets[0]: expected a mapping, found the number 7",
            "7: TargetGroup web: targets[1].address: 'x' is not an IP address such as 127.0.0.1 or ::1",
            "9: TargetGroup web: targets[3].address: 'y' is not an IP address such as 127.0.0.1 or ::1",
        ]
    );
}

#[test]
fn what_a_wrong_protocol_makes_unknown_is_not_guessed() {
    let missing =
        "kind: TargetGroup\nname: web\nport: 80\nhealthCheck: {path: /z, matcher: '200'}\n";
    assert_eq!(
        errors(missing),
        ["1: TargetGroup web: protocol: a protocol is required: HTTP or TCP"]
    );
    let misspelt = missing.replace("port: 80", "port: 80\nprotocol: HTPP");
    assert_eq!(errors(&misspelt).len(), 1);
}

#[test]
fn lists_of_documents_are_complete_and_have_one_form() {
    let remedy = "separate documents with '---', or write {kind: List, items: [...]}";
    for text in ["- kind: Rule\n", "[{\"kind\": \"Rule\"}]"] {
        let expected = format!("1: expected a mapping with a 'kind', found a list: {remedy}");
        assert_eq!(errors(text), [expected], "{text}");
    }
    assert_eq!(
        errors("kind: List\n"),
        ["1: items: the documents are missing: write items: [] for none"]
    );
    assert_eq!(
        errors("kind: List\nitems: []\nitems: [{kind: Rul}]\n"),
        ["3: items: 'items' is given twice, first on line 2"]
    );
    assert!(resources("{\"kind\": \"List\", \"items\": []}").is_empty());
}

#[test]
fn a_kind_in_another_case_is_near() {
    let known = "LoadBalancer, TargetGroup, Target, Certificate, Listener, Rule";
    for (text, expected) in [
        (
            "\nKind: Rule\n",
            "2: 'kind' is missing: did you mean it by 'Kind'?".to_owned(),
        ),
        (
            "type: Rule\n",
            format!("1: 'kind' is missing: one of {known}"),
        ),
    ] {
        assert_eq!(errors(text), [expected], "{text}");
    }
}

/// Each mistake was once compared with every other, which takes minutes at this size.
#[test]
fn the_time_grows_with_the_number_of_mistakes_and_not_with_its_square() {
    let begun = std::time::Instant::now();
    let bad = "- {address: x, port: y}\n".repeat(30_000);
    assert!(errors(&format!("{GROUP}targets:\n{bad}")).len() >= 60_000);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}
