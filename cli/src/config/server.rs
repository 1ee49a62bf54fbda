//! The address of a control plane.

use std::fmt;

use tonic::codegen::http::Uri;

use crate::error::Error;

/// A URL that a control plane can have: `http://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server(String);

impl Server {
    /// Reads a URL. Errors: wrong use, with what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |hint: &str| {
            Error::Usage(format!(
                "'{text}' is not the URL of a control plane: {hint}"
            ))
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong(&format!("did you mean 'http://{text}'?")));
        };
        match scheme {
            "http" => {}
            "https" => return Err(wrong("TLS is not supported yet, write http://")),
            _ => return Err(wrong("write for example http://127.0.0.1:7400")),
        }
        let plain = text.trim_end_matches('/');
        let uri: Uri = plain
            .parse()
            .map_err(|_| wrong("write for example http://127.0.0.1:7400"))?;
        let is_bare = uri.path() == "/" && uri.query().is_none() && !rest.contains('@');
        if !is_bare || uri.host().is_none_or(str::is_empty) {
            return Err(wrong(
                "only scheme, host and port, as in http://127.0.0.1:7400",
            ));
        }
        Ok(Self(plain.to_owned()))
    }

    /// The URL without a slash at its end.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_scheme_host_and_port() {
        for (given, kept) in [
            ("http://127.0.0.1:7400", "http://127.0.0.1:7400"),
            ("http://127.0.0.1:7400/", "http://127.0.0.1:7400"),
            ("http://[::1]:7400", "http://[::1]:7400"),
            ("http://control.example.com", "http://control.example.com"),
        ] {
            assert_eq!(Server::parse(given).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn anything_else_is_named_with_what_would_be_right() {
        for (given, hint) in [
            ("nonsense://", "http://127.0.0.1:7400"),
            ("127.0.0.1:7400", "did you mean 'http://127.0.0.1:7400'?"),
            ("https://127.0.0.1:7400", "not supported yet"),
            ("http://", "http://127.0.0.1:7400"),
            ("http://a b", "http://127.0.0.1:7400"),
            ("http://host/path", "only scheme, host and port"),
            ("http://user@host", "only scheme, host and port"),
            ("", "did you mean"),
        ] {
            let error = Server::parse(given).unwrap_err();
            let text = error.lines().join("\n");
            assert!(
                text.contains(hint) && text.contains(given),
                "{given}: {text}"
            );
            assert_eq!(error.status(), 2);
        }
    }
}
