//! Actions -> [`Action`]: groups by id, redirects split into their parts.

use inlet_proto::defaults;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::action::Kind as Body;

use super::draft::Draft;
use super::references::{Layer, misfit, not_there};
use crate::table::{Action, FixedResponse, Forward, Redirect, Template, TemplatePart};

/// The one routing action of a listener or rule; None = it refers to nothing, which is told.
pub(super) fn compile(
    draft: &mut Draft<'_>,
    key: &Key,
    actions: &[v1::Action],
    layer: Layer,
) -> Option<Action> {
    match actions {
        [v1::Action { kind: Some(kind) }] => match kind {
            Body::Forward(given) => Some(Action::Forward(forward(draft, key, given, layer)?)),
            Body::Redirect(given) => Some(Action::Redirect(Box::new(redirect(given)))),
            Body::FixedResponse(given) => {
                Some(Action::FixedResponse(Box::new(fixed_response(given))))
            }
        },
        _ => {
            draft.reasons.refuse(key, "exactly one action is required");
            None
        }
    }
}

/// Names of groups -> their ids.
fn forward(draft: &mut Draft<'_>, key: &Key, given: &v1::Forward, layer: Layer) -> Option<Forward> {
    let mut groups = Vec::with_capacity(given.target_groups.len());
    for group in &given.target_groups {
        match draft.group_id(&group.name) {
            Some(id) => {
                groups.push((id, defaults::group_weight(group)));
                if let Some(message) = draft.group(id).and_then(|group| misfit(group, layer)) {
                    draft.reasons.refuse(key, message);
                }
            }
            // It may be there and malformed, which is told already.
            None if draft
                .view
                .contains_key(&Key::child(Kind::TargetGroup, "", &group.name)) => {}
            None => draft.reasons.refuse(key, not_there(&group.name)),
        }
    }
    (groups.len() == given.target_groups.len()).then(|| Forward {
        total_weight: groups.iter().map(|(_, weight)| weight).sum(),
        groups: groups.into(),
    })
}

fn redirect(given: &v1::Redirect) -> Redirect {
    let given = defaults::redirect(given);
    Redirect {
        status: given.status_code,
        // Schemes are written in lower case (RFC 3986, 3.1).
        protocol: template(&match given.protocol {
            name @ ("HTTP" | "HTTPS") => name.to_ascii_lowercase(),
            keyword => keyword.to_owned(),
        }),
        host: template(given.host),
        port: template(given.port),
        path: template(given.path),
        query: template(given.query),
    }
}

fn fixed_response(given: &v1::FixedResponse) -> FixedResponse {
    let content_type = match given.body.as_str() {
        "" => given.content_type.as_str(),
        _ => defaults::content_type(given),
    };
    FixedResponse {
        status: u16::try_from(given.status_code).unwrap_or_default(),
        content_type: content_type.into(),
        body: given.body.as_str().into(),
    }
}

/// Splits a text at its keywords.
fn template(text: &str) -> Template {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, part, after)) = first_keyword(rest) {
        parts.extend(literal(before));
        parts.push(part);
        rest = after;
    }
    parts.extend(literal(rest));
    parts.into()
}

fn literal(text: &str) -> Option<TemplatePart> {
    (!text.is_empty()).then(|| TemplatePart::Literal(text.into()))
}

/// What stands before the first keyword, the keyword, and what stands behind it.
fn first_keyword(text: &str) -> Option<(&str, TemplatePart, &str)> {
    let keywords = [
        ("#{protocol}", TemplatePart::Protocol),
        ("#{host}", TemplatePart::Host),
        ("#{port}", TemplatePart::Port),
        ("#{path}", TemplatePart::Path),
        ("#{query}", TemplatePart::Query),
    ];
    let found = keywords.into_iter().filter_map(|(keyword, part)| {
        let (before, after) = text.split_once(keyword)?;
        Some((before, part, after))
    });
    found.min_by_key(|(before, _, _)| before.len())
}

#[cfg(test)]
mod tests {
    use super::TemplatePart::{Host, Literal, Path, Port, Protocol, Query};
    use super::*;

    #[test]
    fn templates_are_split_at_their_keywords() {
        for (text, expected) in [
            ("", vec![]),
            ("/x", vec![Literal("/x".into())]),
            ("/#{path}", vec![Literal("/".into()), Path]),
            ("#{host}", vec![Host]),
            (
                "a=#{port}&#{query}",
                vec![Literal("a=".into()), Port, Literal("&".into()), Query],
            ),
            ("#{protocol}#{protocol}", vec![Protocol, Protocol]),
            ("#{other}#", vec![Literal("#{other}#".into())]),
        ] {
            assert_eq!(template(text).to_vec(), expected, "{text}");
        }
    }

    #[test]
    fn an_empty_redirect_keeps_everything() {
        let made = redirect(&v1::Redirect {
            protocol: "HTTPS".to_owned(),
            query: Some(String::new()),
            status_code: 301,
            ..Default::default()
        });
        assert_eq!(made.status, 301);
        assert_eq!(made.protocol.to_vec(), [Literal("https".into())]);
        assert_eq!(made.host.to_vec(), [Host]);
        assert_eq!(made.port.to_vec(), [Port]);
        assert_eq!(made.path.to_vec(), [Literal("/".into()), Path]);
        assert!(made.query.is_empty());
    }

    #[test]
    fn a_body_has_a_content_type() {
        for (body, content_type, expected) in [
            ("", "", ""),
            ("", "text/html", "text/html"),
            ("x", "", "text/plain"),
            ("x", "text/css", "text/css"),
        ] {
            let made = fixed_response(&v1::FixedResponse {
                status_code: 200,
                content_type: content_type.to_owned(),
                body: body.to_owned(),
            });
            assert_eq!((&*made.content_type, &*made.body), (expected, body));
        }
    }
}
