//! The Location of a redirect. Pure.
//!
//! Source: application load balancer, 7.3.

use crate::digits::write_number;
use crate::table::{Redirect, Template, TemplatePart};

use super::target::Target;

/// Length of a Location.
const LOCATION_BYTES_MAX: usize = 8 * 1024;

/// It would be too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// What keywords stand for.
#[derive(Debug, Clone, Copy)]
struct Keywords<'a> {
    target: &'a Target<'a>,
    port: u16,
}

/// Appends the Location; `port` is the listener's.
///
/// Nothing in it can end a header: targets and hosts with control characters were refused before.
pub fn write_location(
    out: &mut Vec<u8>,
    redirect: &Redirect,
    target: &Target<'_>,
    port: u16,
) -> Result<(), TooLong> {
    let start = out.len();
    let keywords = Keywords { target, port };
    keywords.expand(out, &redirect.protocol, true);
    out.extend_from_slice(b"://");
    keywords.expand(out, &redirect.host, false);
    out.push(b':');
    keywords.expand(out, &redirect.port, false);
    keywords.expand(out, &redirect.path, false);
    out.push(b'?');
    let before_query = out.len();
    keywords.expand(out, &redirect.query, false);
    if out.len() == before_query {
        out.pop();
    }
    if out.len() - start > LOCATION_BYTES_MAX {
        Err(TooLong)
    } else {
        Ok(())
    }
}

impl Keywords<'_> {
    fn expand(&self, out: &mut Vec<u8>, template: &Template, lower_case: bool) {
        for part in template {
            match part {
                TemplatePart::Literal(text) if lower_case => {
                    out.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()))
                }
                TemplatePart::Literal(text) => out.extend_from_slice(text.as_bytes()),
                TemplatePart::Protocol => out.extend_from_slice(b"http"),
                TemplatePart::Host => out.extend_from_slice(self.target.host),
                TemplatePart::Port => write_number(out, self.port.into()),
                TemplatePart::Path => {
                    out.extend_from_slice(
                        self.target
                            .path
                            .strip_prefix(b"/")
                            .unwrap_or(self.target.path),
                    );
                }
                TemplatePart::Query => out.extend_from_slice(self.target.query.unwrap_or_default()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Version;
    use super::*;

    fn literal(text: &str) -> Template {
        [TemplatePart::Literal(text.into())].into()
    }

    fn same() -> Redirect {
        Redirect {
            status: 301,
            protocol: [TemplatePart::Protocol].into(),
            host: [TemplatePart::Host].into(),
            port: [TemplatePart::Port].into(),
            path: [TemplatePart::Literal("/".into()), TemplatePart::Path].into(),
            query: [TemplatePart::Query].into(),
        }
    }

    fn location(redirect: &Redirect, uri: &str) -> Result<String, TooLong> {
        let target = Target::parse(
            b"GET",
            uri.as_bytes(),
            Some(b"Example.com:9999"),
            Version::Http11,
        )
        .unwrap();
        let mut out = Vec::new();
        write_location(&mut out, redirect, &target, 8080)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn keywords_stand_for_parts_of_the_request() {
        let to_https = Redirect {
            protocol: literal("HTTPS"),
            port: literal("443"),
            ..same()
        };
        let elsewhere = Redirect {
            host: [TemplatePart::Literal("new.".into()), TemplatePart::Host].into(),
            path: [
                TemplatePart::Literal("/".into()),
                TemplatePart::Host,
                TemplatePart::Literal("/".into()),
                TemplatePart::Path,
            ]
            .into(),
            query: [
                TemplatePart::Literal("from=".into()),
                TemplatePart::Path,
                TemplatePart::Port,
            ]
            .into(),
            ..same()
        };
        let cases = [
            (same(), "/a/b?c=d", "http://Example.com:8080/a/b?c=d"),
            (same(), "/", "http://Example.com:8080/"),
            (same(), "/a?", "http://Example.com:8080/a"),
            (to_https, "/a?b?c", "https://Example.com:443/a?b?c"),
            (
                elsewhere,
                "/a?x",
                "http://new.Example.com:8080/Example.com/a?from=a8080",
            ),
        ];
        for (redirect, uri, expected) in cases {
            assert_eq!(location(&redirect, uri).unwrap(), expected);
        }
    }

    #[test]
    fn a_location_is_bounded() {
        let long = format!("/{}", "a".repeat(8 * 1024));
        assert_eq!(location(&same(), &long), Err(TooLong));
    }
}
